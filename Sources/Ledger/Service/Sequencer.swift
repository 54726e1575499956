public import Contracts
internal import Logging
internal import NIOConcurrencyHelpers

/// The writer of a ledger's log; in a cluster one of several, of which a compare-and-swap lets one at a time append.
///
/// The life of an entry: it is parsed and its signatures are verified in the task of whoever submits it, it waits in a
/// bounded queue, and `run` takes up to a batch of them, in this order of effects:
///
/// 1. a tick in front, if one is due;
/// 2. fold on the head state; what is not `ok` is answered and never logged;
/// 3. commit, durable; from here the entries are in the log, whatever happens;
/// 4. read the committed head back;
/// 5. sign guard, durable;
/// 6. sign, let a quorum of witnesses cosign, and keep the checkpoint, durable;
/// 7. show the checkpoint and answer with receipts.
///
/// In a shared log the batches of others are folded and kept the same way, and then signed (`follow`). A batch that came
/// too late is folded again behind them: nobody is refused by a head that was not the newest.
///
/// A step that fails is tried again from what the store says is committed; nothing that was answered 201 can be lost,
/// because the answer comes last. There is no waiting for a fuller batch: while one batch is on its way to the disk,
/// the next one collects.
public actor Sequencer {
    /// An entry that waits for its batch.
    struct Submission {
        var entry: Entry
        var parsed: ParsedEntry
        var verdicts: SignatureVerdicts
        var leaf: [UInt8]
        /// Key of the waiter; nil for a submission that was answered at once.
        var waiter: UInt64?
    }

    private struct Waiter {
        var id: Identifier
        var deadline: ContinuousClock.Instant
        var continuation: CheckedContinuation<SubmissionResult, Never>
    }

    let log: any CommitLog
    let publisher: CheckpointPublisher
    let board: CheckpointBoard
    let limits: ServiceLimits
    let clock: @Sendable () -> Timestamp
    let logger: Logger

    /// The committed head, with its state.
    var head: SequencedHead {
        didSet { committedState.withLockedValue { $0 = head.state } }
    }
    /// For those who look up keys and lanes beside the actor; never newer than what is committed.
    private nonisolated let committedState: NIOLockedValueBox<ContractState>
    /// A commit that failed, and may have taken effect all the same.
    var doubt: SequencedHead?
    /// Whether another writer may be ahead; only a shared log has one.
    var isBehind: Bool
    /// Entries that are committed and not in a published checkpoint.
    var unpublished: [(index: UInt64, isNew: Bool, waiter: UInt64?, id: Identifier)] = []
    /// The same of a commit that is in doubt.
    var doubtful: [(index: UInt64, isNew: Bool, waiter: UInt64?, id: Identifier)] = []
    /// Whether and since when too few witnesses cosign.
    var quorum: QuorumWait
    /// When a checkpoint was last shown; nil for one of an earlier process.
    var publishedAt: ContinuousClock.Instant?
    var isRenewing = false
    /// Why nothing can be logged now.
    var failure: String?

    private var queue: [Submission] = []
    private var waiters: [UInt64: Waiter] = [:]
    private var nextWaiter: UInt64 = 0
    private var rejections = RecentRejections()
    private var retryPause: Duration
    var isStopping = false
    private let wakeups: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(
        resuming stored: StoredLedger,
        log: any CommitLog,
        publisher: CheckpointPublisher,
        board: CheckpointBoard,
        limits: ServiceLimits,
        clock: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.log = log
        self.publisher = publisher
        self.board = board
        self.limits = limits
        self.clock = clock
        self.logger = logger
        head = SequencedHead(state: stored.state, tree: stored.head.tree, edge: stored.edge)
        committedState = NIOLockedValueBox(stored.state)
        retryPause = limits.retryShortest
        quorum = QuorumWait(shortest: limits.retryShortest, longest: limits.retryLongest)
        isBehind = log.isShared
        rejections.capacity = limits.rememberedRejections
        (wakeups, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        if let checkpoint = stored.checkpoint {
            board.publish(PublishedCheckpoint(size: checkpoint.size, note: checkpoint.note))
        }
        // Work that a crash left, such as a committed head without a checkpoint, is taken up by the first turn.
        wake.yield()
    }

    /// The state that is committed now.
    public nonisolated var state: ContractState { committedState.withLockedValue { $0 } }

    // MARK: Submitting

    /// Logs an entry and waits until it is in a published checkpoint.
    ///
    /// Runs the checks that need no order in the caller's task, so that several entries are verified in parallel.
    /// - Parameter waits: false to be answered as soon as the entry is in the queue.
    public nonisolated func submit(_ envelope: Envelope, waits: Bool = true) async -> SubmissionResult {
        let leaf = envelope.leaf
        guard leaf.count <= Envelope.longestLeaf else { return .rejected(Rejection(.entrySize, id: nil)) }
        let parsed = ParsedEntry(envelope: envelope)
        switch parsed {
        case .rejected(let code, let id):
            return .rejected(Rejection(code, id: id))
        case .entry(let entry):
            let known = committedState.withLockedValue { $0.keyRing }
            let verdicts = SignatureVerdicts.compute(for: parsed) { known[$0] }
            let submission = Submission(entry: entry, parsed: parsed, verdicts: verdicts, leaf: leaf)
            return await enqueue(submission, waits: waits)
        }
    }

    private func enqueue(_ submission: Submission, waits: Bool) async -> SubmissionResult {
        if isStopping { return .unavailable(reason: "the server is stopping", retryAfterSeconds: 5) }
        if let failure { return .unavailable(reason: failure, retryAfterSeconds: 2) }
        if quorum.isLong(.now, patience: limits.quorumPatience) {
            return .unavailable(reason: "too few witnesses cosign at the moment", retryAfterSeconds: 30)
        }
        guard queue.count < limits.queuedEntries else {
            return .unavailable(reason: "\(queue.count) entries wait already", retryAfterSeconds: 2)
        }
        defer { wake.yield() }
        guard waits else {
            queue.append(submission)
            return .pending(submission.entry.id)
        }
        return await withCheckedContinuation { continuation in
            nextWaiter += 1
            waiters[nextWaiter] = Waiter(
                id: submission.entry.id,
                deadline: .now + limits.submissionWait,
                continuation: continuation
            )
            var submission = submission
            submission.waiter = nextWaiter
            queue.append(submission)
            wake.yield()
        }
    }

    /// What this process remembers of an entry that is not in a published checkpoint; a hint.
    public enum Hint: Sendable, Hashable {
        case pending
        case rejected(Code)
    }

    public func hint(of id: Identifier) -> Hint? {
        if queue.contains(where: { $0.entry.id == id }) || unpublished.contains(where: { $0.id == id }) {
            return .pending
        }
        return rejections[id].map { .rejected($0) }
    }

    // MARK: Answering

    /// Answers a waiter once; one that was answered before, or does not wait, is left alone.
    func answer(_ waiter: UInt64?, _ result: SubmissionResult) {
        guard let waiter, let found = waiters.removeValue(forKey: waiter) else { return }
        found.continuation.resume(returning: result)
    }

    func refuse(_ submission: Submission, _ rejection: Rejection) {
        rejections[submission.entry.id] = rejection.code
        answer(submission.waiter, .rejected(rejection))
    }

    /// Answers 202 to those who waited too long; their entries go on.
    private func answerOverdue() {
        guard !waiters.isEmpty else { return }
        let now = ContinuousClock.now
        for (key, waiter) in waiters where waiter.deadline <= now { answer(key, .pending(waiter.id)) }
    }

    /// Puts entries in front of the queue again, in their order.
    func requeue(_ submissions: [Submission]) {
        queue.insert(contentsOf: submissions, at: 0)
    }

    private func answerQueue(_ result: SubmissionResult) {
        let submissions = queue
        queue = []
        for submission in submissions { answer(submission.waiter, result) }
    }

    // MARK: Running

    /// Sequences until `stop`; throws only when going on could sign a second history.
    public func run() async throws {
        defer {
            // Also when a turn threw: nobody waits for a sequencer that is gone.
            isStopping = true
            answerQueue(.unavailable(reason: "the server is stopping", retryAfterSeconds: 5))
            for (key, waiter) in waiters { answer(key, .pending(waiter.id)) }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    try await Task.sleep(for: .seconds(1))
                    await self.beat()
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    await self.renew()
                    try await Task.sleep(for: .seconds(1))
                }
            }
            if log.isShared {
                group.addTask {
                    while !Task.isCancelled {
                        try await Task.sleep(for: self.limits.followPause)
                        self.wake.yield()
                    }
                }
            }
            for await _ in wakeups {
                if isStopping { break }
                try await turn()
            }
            group.cancelAll()
        }
    }

    /// Ends `run` after the batch that is on its way.
    public func stop() {
        isStopping = true
        wake.finish()
    }

    private func beat() {
        answerOverdue()
        wake.yield()
    }

    private func turn() async throws {
        while !isStopping {
            do {
                let didSomething = try await step()
                failure = nil
                guard didSomething else {
                    retryPause = limits.retryShortest
                    return
                }
            } catch is LogMovedOn {
                isBehind = true
            } catch let error as StoreError where error.isFinal {
                failure = "\(error)"
                logger.critical("the ledger stops: \(error)")
                throw error
            } catch {
                failure = "the ledger cannot write at the moment"
                logger.error("the store failed, nothing is lost; trying again", metadata: ["reason": "\(error)"])
                answerQueue(.unavailable(reason: "the ledger cannot write at the moment", retryAfterSeconds: 2))
                try? await Task.sleep(for: retryPause)
                retryPause = min(retryPause * 2, limits.retryLongest)
            }
        }
    }

    /// Does the next thing there is to do.
    ///
    /// - Returns: false if there is nothing.
    private func step() async throws -> Bool {
        if doubt != nil {
            try await resolveDoubt()
            return true
        }
        // A writer with work finds out by its commit whether others are ahead.
        if log.isShared, isBehind || queue.isEmpty, try await follow() { return true }
        if (board.newest?.size ?? 0) < head.size, quorum.isDue(.now) {
            do {
                try await publishHead()
                retryPause = limits.retryShortest
            } catch let missing as QuorumMissing {
                // Entries are logged on; they wait for their checkpoint together.
                missed(missing)
            }
            return true
        }
        let ticks = dueTicks()
        guard !queue.isEmpty || !ticks.isEmpty else { return false }
        // Ticks that have to come one after the other go alone, so that no entry is folded at an old time.
        let isCatchingUp = ticks.count >= TickSchedule.mostTicks
        let taken = isCatchingUp ? [] : Array(queue.prefix(batchCount()))
        queue.removeFirst(taken.count)
        try await sequence(taken, ticks: ticks)
        return true
    }

    /// How many of the waiting entries the next batch takes: at least one, and no more than fit by number and bytes.
    private func batchCount() -> Int {
        var bytes = 0
        let fitting = queue.prefix(limits.batchEntries).prefix { submission in
            bytes += submission.leaf.count
            return bytes <= limits.batchBytes
        }
        return max(fitting.count, min(1, queue.count))
    }
}

/// Codes of entries that were refused lately, for GET /tx. The oldest are forgotten.
private struct RecentRejections {
    var capacity = 0
    private var codes: [Identifier: Code] = [:]
    private var order: [Identifier] = []

    subscript(id: Identifier) -> Code? {
        get { codes[id] }
        set {
            guard let newValue else { return }
            if codes.updateValue(newValue, forKey: id) == nil { order.append(id) }
            guard order.count > capacity else { return }
            let forgotten = max(1, capacity / 8)
            for id in order.prefix(forgotten) { codes[id] = nil }
            order.removeFirst(min(forgotten, order.count))
        }
    }
}
