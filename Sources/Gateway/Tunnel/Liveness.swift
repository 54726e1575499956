/// Whether the other end of a session still lives. Pure; time is a parameter.
struct Liveness: Sendable {
    enum Action: Equatable, Sendable {
        case nothing
        case ping
        case dead
    }

    /// Nothing received for this long: ask.
    static let quiet: UInt64 = 2_000_000_000
    /// Nothing received for this long: the session is dead.
    static let silence: UInt64 = 5_000_000_000

    private var heard: MonotonicNanoseconds
    private var asked: MonotonicNanoseconds?

    init(now: MonotonicNanoseconds) { heard = now }

    /// Something was received.
    @inline(__always)
    mutating func hear(_ now: MonotonicNanoseconds) {
        heard = now
        asked = nil
    }

    /// To be called a few times a second, as `wait` says.
    mutating func tick(_ now: MonotonicNanoseconds) -> Action {
        let silent = now >= heard ? now - heard : 0
        if silent >= Self.silence { return .dead }
        guard silent >= Self.quiet else { return .nothing }
        if let asked, now - asked < Self.quiet { return .nothing }
        asked = now
        return .ping
    }

    /// Time to the next `tick`: half a second, less when the silence is over before that.
    func wait(_ now: MonotonicNanoseconds) -> UInt64 {
        let silent = now >= heard ? now - heard : 0
        return silent >= Self.silence ? 0 : min(500_000_000, Self.silence - silent)
    }
}
