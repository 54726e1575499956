/// When to ask witnesses again after too few of them cosigned. Pure; the instants are the caller's.
struct QuorumWait: Sendable {
    private(set) var since: ContinuousClock.Instant?
    private var next: ContinuousClock.Instant?
    private var pause: Duration

    private let shortest: Duration
    private let longest: Duration

    init(shortest: Duration, longest: Duration) {
        (self.shortest, self.longest) = (shortest, longest)
        pause = shortest
    }

    func isDue(_ now: ContinuousClock.Instant) -> Bool { next.map { $0 <= now } ?? true }

    /// Whether a quorum has been missing for longer than `patience`.
    func isLong(_ now: ContinuousClock.Instant, patience: Duration) -> Bool {
        since.map { now - $0 > patience } ?? false
    }

    /// - Returns: whether it was there until now.
    mutating func missed(_ now: ContinuousClock.Instant) -> Bool {
        defer { since = since ?? now }
        next = now + pause
        pause = min(pause * 2, longest)
        return since == nil
    }

    /// - Returns: whether it was missing until now.
    mutating func met() -> Bool {
        defer { self = QuorumWait(shortest: shortest, longest: longest) }
        return since != nil
    }
}
