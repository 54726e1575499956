/// Full-jitter exponential back-off: before retry n the wait is uniform in 0 ... min(cap, base * 2^n).
///
/// Pure: the caller brings the random numbers and does the waiting.
public struct Backoff: Sendable, Hashable {
    /// Upper bound of the first wait.
    public var base: Duration
    /// Upper bound of every wait (protocol.md 9: 60 s).
    public var cap: Duration
    /// Failures in a row so far.
    public private(set) var failures = 0

    public init(base: Duration = .milliseconds(250), cap: Duration = .seconds(60)) {
        self.base = base
        self.cap = cap
    }

    /// Counts a failure and returns how long to wait before the next attempt, at least `atLeast`.
    ///
    /// - Parameters:
    ///   - fraction: uniform in 0 ..< 1.
    ///   - atMost: a smaller cap for this failure.
    public mutating func failed(
        fraction: Double,
        atLeast: Duration = .zero,
        atMost: Duration? = nil
    ) -> Duration {
        // 2^20 times the base is above every sensible cap, and no shift overflows.
        let bound = min(cap, atMost ?? cap, base * (1 << min(failures, 20)))
        failures += 1
        let wait = Duration.milliseconds(Int64(Double(bound.milliseconds) * min(max(fraction, 0), 1)))
        return min(cap, max(wait, atLeast))
    }

    /// Forgets the failures.
    public mutating func succeeded() {
        failures = 0
    }
}
