import HashTreeCollections

/// What happens by itself when ledger time reaches a moment.
enum DeadlineEvent: Hashable, Sendable {
    /// A live contract expires or runs out of funds.
    case contract(Identifier)
    /// The rows of a deleted contract go.
    case purge(Identifier)
    /// A delegation ends.
    case delegate(Identifier, KeyID)
}

/// Events by time, in slots of 256 seconds: a tick looks only at the slots that it passes.
///
/// A tick moves time by at most a day, so that is 338 slots at most, and mostly one.
struct Deadlines: Sendable {
    private var slots: TreeDictionary<Int64, TreeDictionary<DeadlineEvent, Timestamp>> = [:]

    mutating func schedule(_ event: DeadlineEvent, at time: Timestamp) {
        slots[time >> 8, default: [:]][event] = time
    }

    mutating func cancel(_ event: DeadlineEvent, at time: Timestamp) {
        let slot = time >> 8
        slots[slot]?[event] = nil
        if slots[slot]?.isEmpty == true { slots[slot] = nil }
    }

    /// Events from a time, which is the last one that was looked at, to another, in order of time.
    func due(from start: Timestamp, to end: Timestamp) -> [(event: DeadlineEvent, time: Timestamp)] {
        var due: [(event: DeadlineEvent, time: Timestamp)] = []
        for slot in (start >> 8)...(end >> 8) {
            guard let events = slots[slot] else { continue }
            for (event, time) in events where time <= end { due.append((event, time)) }
        }
        return due.sorted { $0.time < $1.time }
    }
}
