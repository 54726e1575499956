/// Delays between attempts: a random time up to a bound that doubles, so that agents do not return all at once.
struct Backoff: Sendable {
    /// Bound of the first delay.
    static let first: Duration = .milliseconds(500)
    /// Largest bound.
    static let cap: Duration = .seconds(30)

    private(set) var attempt = 0

    /// The next delay; `fraction` is random in 0..<1.
    mutating func next(_ fraction: Double) -> Duration {
        let bound = min(Self.cap, Self.first * (1 << min(attempt, 10)))
        attempt += 1
        return .nanoseconds(Int64(Double(bound.nanoseconds) * fraction))
    }

    /// The connection proved good: the next failure starts from the smallest bound.
    mutating func reset() { attempt = 0 }
}
