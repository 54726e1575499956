internal import Contracts
internal import NIOConcurrencyHelpers
internal import NIOCore

/// An entry that waits for its batch. A class, because it passes through several queues and its parts are many.
final class QueuedEntry: Sendable {
    let entry: Entry
    let parsed: ParsedEntry
    let verdicts: SignatureVerdicts
    let leaf: [UInt8]
    /// False if it is answered as soon as it is in the queue.
    let waits: Bool
    let waiter: SubmissionWaiter

    init(
        entry: Entry,
        parsed: ParsedEntry,
        verdicts: SignatureVerdicts,
        leaf: [UInt8],
        waits: Bool,
        waiter: SubmissionWaiter
    ) {
        (self.entry, self.parsed, self.verdicts, self.leaf) = (entry, parsed, verdicts, leaf)
        (self.waits, self.waiter) = (waits, waiter)
    }
}

/// Who waits for what becomes of an entry. Answered once, by whoever comes first. Any thread.
final class SubmissionWaiter: Sendable {
    let id: Identifier
    /// When it is told that the entry is pending.
    let deadline: ContinuousClock.Instant
    private let reply: NIOLockedValueBox<(@Sendable (SubmissionResult) -> Void)?>

    init(
        _ id: Identifier,
        until deadline: ContinuousClock.Instant,
        _ reply: @escaping @Sendable (SubmissionResult) -> Void
    ) {
        self.id = id
        self.deadline = deadline
        self.reply = NIOLockedValueBox(reply)
    }

    func answer(_ result: SubmissionResult) {
        let reply = reply.withLockedValue { reply in
            defer { reply = nil }
            return reply
        }
        reply?(result)
    }

    var isAnswered: Bool { reply.withLockedValue { $0 == nil } }
}

/// The entries that wait for a batch, in their order, and everybody who waits for an answer. Any thread.
///
/// Filled by those who verified the entries and emptied by the sequencer; a lock and not its actor stands between them,
/// so that neither waits while the other folds or verifies.
final class SubmissionQueue: Sendable {
    /// Why nothing is taken.
    struct Door: Sendable {
        var isStopping = false
        var failure: String?
        /// Since when too few witnesses cosign.
        var quorumMissing: ContinuousClock.Instant?
    }

    private struct State {
        var door = Door()
        var waiting = CircularBuffer<QueuedEntry>()
        /// By deadline, which is the order of their coming. Some are answered.
        var waiters = CircularBuffer<SubmissionWaiter>()
    }

    private let limits: ServiceLimits
    private let state = NIOLockedValueBox(State())

    init(limits: ServiceLimits) {
        self.limits = limits
    }

    var isEmpty: Bool { state.withLockedValue { $0.waiting.isEmpty } }

    func contains(_ id: Identifier) -> Bool {
        state.withLockedValue { state in state.waiting.contains { $0.entry.id == id } }
    }

    func changeDoor(_ change: (inout Door) -> Void) {
        state.withLockedValue { change(&$0.door) }
    }

    /// Takes entries in their order; those that it cannot take, and those that do not wait, are answered.
    func add(_ submissions: [QueuedEntry], now: ContinuousClock.Instant) {
        let answers = state.withLockedValue { state in
            let refusal = refusal(state.door, now)
            return submissions.map { refusal ?? take($0, &state) }
        }
        for (submission, answer) in zip(submissions, answers) {
            if let answer { submission.waiter.answer(answer) }
        }
    }

    private func take(_ submission: QueuedEntry, _ state: inout State) -> SubmissionResult? {
        guard state.waiting.count < limits.queuedEntries else {
            return .unavailable(reason: "\(state.waiting.count) entries wait already", retryAfterSeconds: 2)
        }
        state.waiting.append(submission)
        guard submission.waits else { return .pending(submission.entry.id) }
        state.waiters.append(submission.waiter)
        return nil
    }

    private func refusal(_ door: Door, _ now: ContinuousClock.Instant) -> SubmissionResult? {
        if door.isStopping { return .unavailable(reason: "the server is stopping", retryAfterSeconds: 5) }
        if let failure = door.failure { return .unavailable(reason: failure, retryAfterSeconds: 2) }
        if let since = door.quorumMissing, now - since > limits.quorumPatience {
            return .unavailable(reason: "too few witnesses cosign at the moment", retryAfterSeconds: 30)
        }
        return nil
    }

    /// Takes the entries of the next batch: at least one if any waits, and no more than fit by number and bytes.
    func next() -> [QueuedEntry] {
        state.withLockedValue { state in
            var bytes = 0
            let fitting = state.waiting.prefix(limits.batchEntries).prefix { submission in
                bytes += submission.leaf.count
                return bytes <= limits.batchBytes
            }
            let count = max(fitting.count, min(1, state.waiting.count))
            let taken = Array(state.waiting.prefix(count))
            state.waiting.removeFirst(count)
            return taken
        }
    }

    /// Puts entries in front again, in their order.
    func putBack(_ submissions: [QueuedEntry]) {
        state.withLockedValue { state in
            for submission in submissions.reversed() { state.waiting.prepend(submission) }
        }
    }

    /// Takes everything.
    func drain() -> [QueuedEntry] {
        state.withLockedValue { state in
            defer { state.waiting.removeAll() }
            return Array(state.waiting)
        }
    }

    // MARK: Those who wait

    /// Those whose time is over; each is given once.
    func overdue(_ now: ContinuousClock.Instant) -> [SubmissionWaiter] {
        state.withLockedValue { state in
            var overdue: [SubmissionWaiter] = []
            while let first = state.waiters.first, first.deadline <= now || first.isAnswered {
                state.waiters.removeFirst()
                if !first.isAnswered { overdue.append(first) }
            }
            return overdue
        }
    }

    /// Everybody who still waits.
    func drainWaiters() -> [SubmissionWaiter] {
        state.withLockedValue { state in
            defer { state.waiters.removeAll() }
            return state.waiters.filter { !$0.isAnswered }
        }
    }
}
