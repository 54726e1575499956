internal import Contracts

/// Since when contracts have had no agent.
struct AgentPresence {
    private var since: [Identifier: MonotonicNanoseconds] = [:]

    /// Looks at the contracts of the table; `count` says how many sessions one has.
    mutating func look(_ contracts: [Identifier], at now: MonotonicNanoseconds, count: (Identifier) -> Int) {
        var next: [Identifier: MonotonicNanoseconds] = [:]
        for contract in contracts where count(contract) == 0 { next[contract] = since[contract] ?? now }
        since = next
    }

    /// Contracts without an agent for at least this long.
    func absent(for seconds: UInt32, at now: MonotonicNanoseconds) -> Set<Identifier> {
        Set(since.filter { now &- $0.value >= UInt64(seconds) * 1_000_000_000 }.keys)
    }
}
