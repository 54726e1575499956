internal import Contracts
internal import Logging

/// The watcher's core: the trusted position, the state at it, and one step of the algorithm of protocol.md 10.2.
///
/// Sources are asked at the same time; what they answer is judged and applied in turn. Memory holds the state, the leaf
/// hashes of one step, and entry bytes up to a budget. A step that fails leaves position and state as they were.
///
/// The steps, each in a file of its own: asking and what follows here, signatures and quorum in `+Judging`, the key chain
/// in `+KeyChain`, larger trees in `+Proof` and `+Moving`, equal and smaller trees, forks and their evidence in `+Fork`.
actor LedgerFollower {
    /// What one round brought.
    enum News: Sendable, Hashable {
        /// New entries were verified, folded and stored.
        case advanced
        /// The same tree with a later quorum time.
        case renewed
        /// The same checkpoint as before.
        case unchanged
        /// A long poll ended without a larger tree.
        case nothingNewer
    }

    /// Longest ETag that is sent back, in bytes; a ledger's has 18.
    private static let longestTag = 128

    nonisolated let store: any FollowerStore
    nonisolated let configuration: WatcherConfiguration
    nonisolated let client: any LogTransport
    /// Checks the signatures of notes.
    nonisolated let check: SignatureCheck
    nonisolated let engine: EntryEngine
    nonisolated let logger: Logger

    var position: TrustedPosition
    var state: ContractState
    /// Every key that the verified log ever had as a ledger key.
    var keys: KeyChain
    /// Quorum time in the store, which may be older than the one in memory.
    var storedQuorumTime: Timestamp
    /// What the machine's clocks said when the quorum time was taken.
    var quorumClock: QuorumClock
    /// What is wrong without stopping the node, by code.
    var alarms: [LedgerAlarm.Code: String]
    /// What an operator said last about a fork.
    let resolution: ForkResolution?
    /// The snapshot that this node started from.
    var origin: SnapshotOrigin?
    /// Entries before the snapshot that were verified in the background; nil when nobody asked for it.
    var verifiedEntries: UInt64?
    /// How often the verified state was asked for.
    private var snapshots: UInt64 = 0
    /// ETag of the trusted checkpoint, by source.
    var etags: [Int: String] = [:]
    /// Sources whose newest checkpoint only unknown keys signed.
    var strangers: Set<Int> = []
    /// Roots of smaller sizes that are prefixes of the trusted tree.
    var recent: [UInt64: Digest] = [:]
    /// Checkpoints of sizes not reached yet that the ledger signed, shown by peers and witnesses; by size.
    var claims: [UInt64: Checkpoint] = [:]
    /// Sizes whose state notes agreed, or were reported.
    var comparedNotes: Set<UInt64> = []
    /// The state after the pinned genesis, as long as nothing larger is trusted.
    var genesis: ContractState?
    /// Whether an answer is being judged, and who waits for the end of that.
    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(
        configuration: WatcherConfiguration,
        client: any LogTransport,
        store: any FollowerStore,
        start: FollowerStart,
        logger: Logger,
        check: SignatureCheck = .ed25519,
        engine: EntryEngine = .standard
    ) {
        self.configuration = configuration
        self.client = client
        self.store = store
        self.logger = logger
        self.check = check
        self.engine = engine
        position = start.position
        state = start.state
        storedQuorumTime = start.position.quorumTime
        quorumClock = QuorumClock(
            quorumTime: start.position.quorumTime,
            now: configuration.now(),
            monotonic: configuration.monotonic()
        )
        keys = KeyChain(start.memory.keys)
        keys.add(start.state.ledgerKeys)
        alarms = start.memory.alarms
        resolution = start.memory.resolution
        origin = start.memory.origin
    }

    /// A follower that goes on from the trust store of the configuration, which is opened.
    static func open(
        _ configuration: WatcherConfiguration,
        client: any LogTransport,
        logger: Logger
    ) throws(TrustStoreError) -> (follower: LedgerFollower, store: TrustStore) {
        let opened = try TrustStore.open(path: configuration.stateDirectory, ledgerID: configuration.ledgerID)
        let start = FollowerStart(opened.position, opened.state, try opened.store.memory())
        let follower = LedgerFollower(
            configuration: configuration,
            client: client,
            store: opened.store,
            start: start,
            logger: logger
        )
        return (follower, opened.store)
    }

    /// A halt that no source can lift. One for unknown keys is lifted by a checkpoint of a known key: nobody without a
    /// ledger key may stop a node for good.
    var halt: TrustedPosition.Halt? {
        position.halt.flatMap { $0.result == .checkpointSignature ? nil : $0 }
    }

    /// The verified state with its condition by the local clocks; nil before the first checkpoint was verified. The
    /// number orders what two tasks ask for at the same time.
    func verified() -> (state: VerifiedState, number: UInt64)? {
        guard position.size > 0 else { return nil }
        snapshots += 1
        let now = configuration.now()
        let lag = quorumClock.lag(now: now, monotonic: configuration.monotonic())
        let age = max(0, now + lag - position.quorumTime)
        let condition: LedgerCondition =
            if let halt = position.halt {
                .halted(halt.result, message: halt.message)
            } else if Freshness(age: age) > .normal {
                .stale(age: age)
            } else {
                .normal
            }
        var alarms = alarms.map { LedgerAlarm($0.key, $0.value) }
        if Freshness(age: age) > .stale { alarms.append(.stale(age: age)) }
        let verified = VerifiedState(
            state: state,
            size: position.size,
            root: position.root,
            quorumTime: position.quorumTime,
            condition: condition,
            clockLag: lag,
            alarms: alarms.sorted { $0.code.rawValue < $1.code.rawValue },
            history: history
        )
        return (verified, snapshots)
    }

    // MARK: One round

    /// Asks one source for its checkpoint (step 2) and follows it, or refuses it.
    ///
    /// - Parameter wait: seconds of a long poll; nil asks plainly.
    /// - Throws: `LedgerRefusal`, `TrustStoreError` or an error of the database.
    func round(_ source: LedgerClient.Source, wait: Int? = nil) async throws -> News {
        // A peer or witness is asked by the origin, which is known once genesis was verified.
        let isObserver = source.role.isObserver
        guard !isObserver || position.size > 0 else { return .unchanged }
        let answer: LedgerClient.CheckpointAnswer
        do throws(LedgerClientError) {
            if isObserver {
                answer = .note(try await client.observedCheckpoint(from: source, origin: position.origin), etag: nil)
            } else {
                // Before anything is trusted there is no size to wait behind.
                let isLongPoll = wait != nil && position.size > 0
                answer = try await client.checkpoint(
                    from: source,
                    after: isLongPoll ? position.size : nil,
                    wait: isLongPoll ? wait : nil,
                    etag: etags[source.index]
                )
            }
        } catch {
            throw LedgerRefusal(error)
        }
        return try await inTurn { try await self.take(answer, source) }
    }

    private func take(_ answer: LedgerClient.CheckpointAnswer, _ source: LedgerClient.Source) async throws -> News {
        if let halt { throw LedgerRefusal(halt) }
        switch answer {
        case .nothingNewer:
            return .nothingNewer
        case .notModified:
            // The source says that the trusted checkpoint is its newest; only without witnesses is that a fresh time.
            guard state.policy?.quorum == WitnessPolicy.Quorum.none, configuration.isDev, etags[source.index] != nil
            else { return .unchanged }
            try await renew(checkpoint: position.checkpoint, quorumTime: configuration.now())
            return .renewed
        case .note(let bytes, let etag):
            etags[source.index] = nil
            let checkpoint: Checkpoint
            do throws(VerificationResult) {
                checkpoint = try Checkpoint(parsing: bytes)
            } catch {
                throw LedgerRefusal(error, source: source, "what it gives as its checkpoint is none")
            }
            let news =
                source.role.isObserver
                ? try await observe(checkpoint, source) : try await follow(checkpoint, source)
            if position.checkpoint == bytes, let etag, etag.utf8.count <= Self.longestTag {
                etags[source.index] = etag
            }
            return news
        }
    }

    /// Steps 3 to 9 for the checkpoint of a ledger or mirror.
    func follow(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws -> News {
        let known = try await rules(checkpoint, source)
        if position.size == 0, configuration.startsFromSnapshot, let genesis,
            try await startFromSnapshot(checkpoint, genesis: genesis, source)
        {
            return .advanced
        }
        let (rules, quorumTime) = try await judgeByStones(checkpoint, known, source)
        if checkpoint.size > position.size {
            try await advance(to: checkpoint, quorumTime, rules, source)
            return .advanced
        }
        try await compare(checkpoint, source)
        guard quorumTime > position.quorumTime || position.halt != nil else { return .unchanged }
        try await renew(checkpoint: checkpoint.bytes, quorumTime: max(quorumTime, position.quorumTime))
        return .renewed
    }

    // MARK: In turn

    /// Runs the body when no other one runs, in the order of the calls.
    func inTurn<Value: Sendable>(_ body: () async throws -> Value) async rethrows -> Value {
        if isBusy {
            await withCheckedContinuation { waiting.append($0) }
        } else {
            isBusy = true
        }
        defer { if waiting.isEmpty { isBusy = false } else { waiting.removeFirst().resume() } }
        return try await body()
    }

    // MARK: Alarms

    /// Raises an alarm, or lowers it with nil; said in the log once for each message.
    func set(alarm code: LedgerAlarm.Code, _ message: String?) async throws {
        guard alarms[code] != message else { return }
        alarms[code] = message
        if let message {
            logger.error("\(message)", metadata: ["alarm": "\(code.rawValue)"])
        } else {
            logger.notice("the alarm is over", metadata: ["alarm": "\(code.rawValue)"])
        }
        if code.isKept { try await store.keep(alarm: code, message, at: configuration.now()) }
    }
}
