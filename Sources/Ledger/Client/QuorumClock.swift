internal import Contracts

/// How old the quorum time is when the local clock cannot be relied on (protocol.md 10.5).
///
/// Age is what the local clock says, or what has passed on the monotonic clock since the quorum time was taken, whichever
/// is more: a clock that is set back, or that was behind from the start, extends nothing. Pure.
struct QuorumClock: Sendable {
    private var quorumTime: Timestamp
    /// The earliest that the true time can have been at `start`.
    private var earliest: Timestamp
    private var start: Duration

    /// - Parameters:
    ///   - quorumTime: k witnesses vouch that the true time is not before it.
    ///   - previous: what was known before; time that it knows has passed is not forgotten.
    init(quorumTime: Timestamp, now: Timestamp, monotonic: Duration, after previous: QuorumClock? = nil) {
        self.quorumTime = quorumTime
        start = monotonic
        earliest = max(quorumTime, now)
        // A local clock that was ahead and was set right must not keep the node old for ever: the earlier reading of the
        // local clock counts only while no later quorum time came.
        if let previous, previous.quorumTime == quorumTime {
            earliest = max(earliest, previous.time(at: monotonic))
        }
    }

    private func time(at monotonic: Duration) -> Timestamp {
        earliest + max(0, (monotonic - start).components.seconds)
    }

    /// Seconds by which the local clock is behind the earliest time that is possible.
    func lag(now: Timestamp, monotonic: Duration) -> Int64 {
        max(0, time(at: monotonic) - now)
    }
}
