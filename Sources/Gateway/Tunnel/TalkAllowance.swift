/// How often an agent may say what costs its gateway more than bytes: what it serves, of which each contract is judged and answered, and how its
/// backends are, which every loop is told. Pure; time is a parameter.
///
/// An honest agent with hundreds of exposures stays far below it, also when all of them fail at one moment.
struct TalkAllowance: Sendable {
    /// What may be said at once after a pause, and in a second after that, in units of one HEALTH.
    private static let most = 8192.0
    private static let perSecond = 256.0

    private var left = most
    private var filled: MonotonicNanoseconds

    init(now: MonotonicNanoseconds) { filled = now }

    /// False when the agent has said too much.
    mutating func admits(_ type: FrameType, now: MonotonicNanoseconds) -> Bool {
        left = min(Self.most, left + Double(now &- filled) / 1_000_000_000 * Self.perSecond)
        filled = now
        let cost = Self.cost(of: type)
        guard left >= cost else { return false }
        left -= cost
        return true
    }

    private static func cost(of type: FrameType) -> Double {
        switch type {
        case .update: 64
        // Answers: the gateway asks for each.
        case .usage: 0
        default: 1
        }
    }
}
