/// Whether the other end of a session still lives. Pure; time is a parameter.
struct Liveness: Sendable {
    enum Action: Equatable, Sendable {
        case nothing
        case ping
        case dead
    }

    /// Nothing received for this long: ask.
    static let quiet: UInt64 = 2_000_000_000
    /// Nothing received for this long: the session is dead. The protocol allows 5 s in all; half a second of it is for the timer, which is
    /// up to 100 ms late, and for a loop that has much else to do. From the question on, the answer has 2.4 s.
    static let silence: UInt64 = 4_500_000_000

    private var heard: MonotonicNanoseconds
    /// One question is enough: TCP brings it, or the connection is of no use.
    private var hasAsked = false

    init(now: MonotonicNanoseconds) { heard = now }

    /// Something was received.
    @inline(__always)
    mutating func hear(_ now: MonotonicNanoseconds) {
        heard = now
        hasAsked = false
    }

    /// To be called at the times that `wait` says.
    mutating func tick(_ now: MonotonicNanoseconds) -> Action {
        let silent = silence(now)
        if silent >= Self.silence { return .dead }
        guard silent >= Self.quiet, !hasAsked else { return .nothing }
        hasAsked = true
        return .ping
    }

    /// Time to the next `tick`: to the moment at which it is to ask, if something is heard or not, or at which the silence is over.
    func wait(_ now: MonotonicNanoseconds) -> UInt64 {
        let silent = silence(now)
        if silent < Self.quiet { return Self.quiet - silent }
        return silent < Self.silence ? min(Self.quiet, Self.silence - silent) : 0
    }

    private func silence(_ now: MonotonicNanoseconds) -> UInt64 { now >= heard ? now - heard : 0 }
}
