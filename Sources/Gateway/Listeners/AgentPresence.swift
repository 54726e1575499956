internal import Contracts

/// Which contracts of the table have had no agent for long. Told of every change; a look costs by what has become due.
struct AgentPresence {
    /// Since when contracts have had no agent.
    private var since: [Identifier: MonotonicNanoseconds] = [:]
    /// The same in the order of time; entries that `since` does not confirm are over.
    private var line: [(contract: Identifier, since: MonotonicNanoseconds)] = []
    private var first = 0
    /// Contracts that have been without an agent for longer than a restart takes.
    private(set) var unreachable: Set<Identifier> = []

    /// A contract of the table has no agent.
    mutating func miss(_ contract: Identifier, at now: MonotonicNanoseconds) {
        guard since[contract] == nil else { return }
        since[contract] = now
        line.append((contract, now))
    }

    /// A contract has an agent, or needs none since it is not served.
    mutating func settle(_ contract: Identifier) {
        since[contract] = nil
        unreachable.remove(contract)
    }

    /// Takes notice of those that have been missing for a time.
    mutating func look(_ seconds: UInt32, at now: MonotonicNanoseconds) {
        while first < line.count, now &- line[first].since >= UInt64(seconds) * 1_000_000_000 {
            let (contract, time) = line[first]
            if since[contract] == time { unreachable.insert(contract) }
            first += 1
        }
        if first > 1024, first * 2 > line.count {
            line.removeFirst(first)
            first = 0
        }
    }
}
