internal import Synchronization

/// Connections of one contract, or of the gateway, counted over all loops.
final class SharedLoad: Sendable {
    private let live = Atomic<Int64>(0)
    private let total = Atomic<Int64>(0)
    /// When the next connection is due if connections came at exactly the allowed rate, in nanoseconds (GCRA).
    private let due = Atomic<UInt64>(0)

    /// Connections that are open.
    var count: Int64 { live.load(ordering: .relaxed) }

    /// Connections since the start.
    var opened: Int64 { total.load(ordering: .relaxed) }

    /// Counts one more connection unless `limit` are open.
    func enter(limit: Int64) -> Bool {
        if live.wrappingAdd(1, ordering: .relaxed).newValue > limit {
            live.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        total.wrappingAdd(1, ordering: .relaxed)
        return true
    }

    func leave() { live.wrappingSubtract(1, ordering: .relaxed) }

    /// Takes one connection of a rate per second; a second's worth may come at once.
    func admit(rate: Int64, at now: MonotonicNanoseconds) -> Bool {
        let interval = 1_000_000_000 / UInt64(max(1, rate))
        var seen = due.load(ordering: .relaxed)
        while true {
            let start = max(seen, now)
            guard start - now <= 1_000_000_000 - min(interval, 1_000_000_000) else { return false }
            let (exchanged, original) = due.compareExchange(
                expected: seen,
                desired: start + interval,
                ordering: .relaxed
            )
            if exchanged { return true }
            seen = original
        }
    }
}
