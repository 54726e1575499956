public import Contracts
internal import Logging
internal import NIOConcurrencyHelpers

/// The writer of a ledger's log; in a cluster one of several, of which a compare-and-swap lets one at a time append.
///
/// The life of an entry: it is parsed and its signatures are verified by whoever submits it, it waits in a bounded queue,
/// and `run` takes up to a batch of them, in this order of effects:
///
/// 1. a tick in front, if one is due;
/// 2. fold on the head state; what is not `ok` is answered and never logged;
/// 3. commit, durable; from here the entries are in the log, whatever happens;
/// 4. read the committed head back; what is signed is what the disk holds;
/// 5. sign guard, durable;
/// 6. sign, let a quorum of witnesses cosign, and keep the checkpoint, durable;
/// 7. show the checkpoint and answer with receipts.
///
/// In a shared log the batches of others are folded and kept the same way, and then signed (`follow`). A batch that came
/// too late is folded again behind them: nobody is refused by a head that was not the newest.
///
/// A step that fails is tried again from what the store says is committed; nothing that was answered 201 can be lost,
/// because the answer comes last. There is no waiting for a fuller batch: while one batch is on its way to the disk,
/// the next one collects. Steps 1 to 4 of a batch run beside steps 5 to 7 of the head before it: a checkpoint is over a
/// head that is committed and read back, and never over one whose commit is under way.
public actor Sequencer {
    /// An entry that is in the log, or may be, and for which no receipt was given.
    struct Unanswered: Sendable {
        var index: UInt64
        /// False if it was logged before it was submitted.
        var isNew: Bool
        var id: Identifier
        /// Nil for entries of this server's own.
        var waiter: SubmissionWaiter?
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
    /// A commit that succeeded, and was not read back yet.
    var committed: (head: SequencedHead, added: [Unanswered])?
    /// Entries that are committed and not in a published checkpoint.
    var unpublished: [Unanswered] = []
    /// The same of a commit that is in doubt.
    var doubtful: [Unanswered] = []
    /// Whether and since when too few witnesses cosign.
    var quorum: QuorumWait { didSet { queue.changeDoor { $0.quorumMissing = quorum.since } } }
    /// When a checkpoint was last shown; nil for one of an earlier process.
    var publishedAt: ContinuousClock.Instant?
    var isRenewing = false
    /// Why nothing can be logged now.
    var failure: String? { didSet { showAtDoor() } }
    /// Why nothing can be published now; until it can, nothing more is logged.
    var publicationFailure: String? { didSet { showAtDoor() } }
    /// Set while a shared log is followed only: it is not known yet whether this server may log and sign.
    var restraint: Restraint? { didSet { showAtDoor() } }
    /// Why this server must not go on.
    var fatal: StoreError?

    let queue: SubmissionQueue
    private var rejections = RecentRejections()
    private var retryPause: Duration
    /// The same between attempts to publish.
    var publicationPause: Duration
    var isStopping = false { didSet { queue.changeDoor { $0.isStopping = isStopping } } }
    private let wakeups: AsyncStream<Void>
    let wake: AsyncStream<Void>.Continuation
    /// Says that there may be something to publish.
    let publications: AsyncStream<Void>
    let announce: AsyncStream<Void>.Continuation

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
        publicationPause = limits.retryShortest
        queue = SubmissionQueue(limits: limits)
        quorum = QuorumWait(shortest: limits.retryShortest, longest: limits.retryLongest)
        isBehind = log.isShared
        rejections.capacity = limits.rememberedRejections
        (wakeups, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (publications, announce) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        if let checkpoint = stored.checkpoint {
            board.publish(PublishedCheckpoint(size: checkpoint.size, note: checkpoint.note))
        }
        // Work that a crash left, such as a committed head without a checkpoint, is taken up by the first turn.
        wake.yield()
        announce.yield()
    }

    /// The state that is committed now.
    public nonisolated var state: ContractState { committedState.withLockedValue { $0 } }

    // MARK: Submitting

    /// Takes entries that are parsed and verified, to be logged; each waiter is answered when its entry is in a published
    /// checkpoint, or when it is known that it will not be.
    nonisolated func submit(_ submissions: [QueuedEntry]) {
        queue.add(submissions, now: .now)
        wake.yield()
    }

    /// What this process remembers of an entry that is not in a published checkpoint; a hint.
    public enum Hint: Sendable, Hashable {
        case pending
        case rejected(Code)
    }

    public func hint(of id: Identifier) -> Hint? {
        if queue.contains(id) || unpublished.contains(where: { $0.id == id }) { return .pending }
        return rejections[id].map { .rejected($0) }
    }

    // MARK: Answering

    func refuse(_ submission: QueuedEntry, _ rejection: Rejection) {
        rejections[submission.entry.id] = rejection.code
        submission.waiter.answer(.rejected(rejection))
    }

    /// Answers 202 to those who waited too long; their entries go on.
    private func answerOverdue() {
        for waiter in queue.overdue(.now) { waiter.answer(.pending(waiter.id)) }
    }

    func answerQueue(_ result: SubmissionResult) {
        for submission in queue.drain() { submission.waiter.answer(result) }
    }

    // MARK: Running

    /// Sequences until `stop`; throws only when going on could sign a second history.
    public func run() async throws {
        defer {
            // Also when a turn threw: nobody waits for a sequencer that is gone.
            isStopping = true
            answerQueue(.unavailable(reason: "the server is stopping", retryAfterSeconds: 5))
            for waiter in queue.drainWaiters() { waiter.answer(.pending(waiter.id)) }
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
            async let publishing: Void = publish()
            for await _ in wakeups {
                if isStopping { break }
                try await turn()
            }
            // A checkpoint that is on its way is finished.
            await publishing
            group.cancelAll()
        }
    }

    /// Ends `run` after the batch that is on its way.
    public func stop() {
        isStopping = true
        wake.finish()
        announce.finish()
    }

    private func beat() {
        answerOverdue()
        wake.yield()
        announce.yield()
    }

    private func turn() async throws {
        while !isStopping {
            if let fatal { throw fatal }
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
                end(error)
                throw error
            } catch let error as ClusterError where error.isFinal {
                let final = StoreError.contradiction("\(error)")
                end(final)
                throw final
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
        if committed != nil {
            try await readBack()
            return true
        }
        // A writer with work finds out by its commit whether others are ahead.
        if log.isShared, isBehind || queue.isEmpty || restraint != nil, try await follow() { return true }
        // What cannot be published is not added to.
        guard publicationFailure == nil, restraint == nil else { return false }
        let ticks = dueTicks()
        guard !queue.isEmpty || !ticks.isEmpty else { return false }
        // Ticks that have to come one after the other go alone, so that no entry is folded at an old time.
        let isCatchingUp = ticks.count >= TickSchedule.mostTicks
        try await sequence(isCatchingUp ? [] : queue.next(), ticks: ticks)
        return true
    }

    /// Takes note of an error with which this server must not go on.
    func end(_ error: StoreError) {
        failure = "\(error)"
        logger.critical("the ledger stops: \(error)")
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
