internal import Contracts
internal import Logging

/// The watcher's core: the trusted position, the state at it, and one step of the algorithm of protocol.md 10.2.
///
/// The watcher calls it from one task at a time. Memory holds the state, the leaf hashes of one step, and entry bytes
/// up to a budget. A step that fails leaves position and state as they were.
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

    /// Origin, keys and policy that checkpoints are judged by.
    struct Rules {
        var origin: String
        var keys: [VerifierKey]
        var policy: WitnessPolicy
    }

    /// Longest ETag that is sent back, in bytes; a ledger's has 18.
    private static let longestTag = 128
    /// Entries whose outcomes and hashes are written ahead of their step at a time.
    private static let pageSize = 4096
    /// Trusted sizes of the past whose roots are kept in memory.
    private static let rememberedSizes = 64
    /// A renewed quorum time is stored when it is this many seconds later than the stored one.
    private static let renewalStep: Timestamp = 30

    nonisolated let store: TrustStore
    nonisolated let configuration: WatcherConfiguration
    nonisolated let client: LedgerClient
    nonisolated let logger: Logger

    private(set) var position: TrustedPosition
    private(set) var state: ContractState
    /// Quorum time in the store, which may be older than the one in memory.
    private var storedQuorumTime: Timestamp
    /// How often the verified state was asked for.
    private var snapshots: UInt64 = 0
    /// ETag of the trusted checkpoint, by source.
    private var etags: [Int: String] = [:]
    /// Sources whose newest checkpoint only unknown keys signed.
    private var strangers: Set<Int> = []
    /// Roots of smaller sizes that are prefixes of the trusted tree.
    var recent: [UInt64: Digest] = [:]
    /// The state after the pinned genesis, as long as nothing larger is trusted.
    private var genesis: ContractState?

    init(configuration: WatcherConfiguration, client: LedgerClient, logger: Logger) throws(TrustStoreError) {
        let opened = try TrustStore.open(path: configuration.stateDirectory, ledgerID: configuration.ledgerID)
        self.configuration = configuration
        self.client = client
        self.logger = logger
        store = opened.store
        position = opened.position
        state = opened.state
        storedQuorumTime = opened.position.quorumTime
    }

    /// A halt that no source can lift. One for unknown keys is lifted by a checkpoint of a known key: nobody without a
    /// ledger key may stop a node for good.
    var halt: TrustedPosition.Halt? {
        position.halt.flatMap { $0.result == .checkpointSignature ? nil : $0 }
    }

    /// The verified state with its condition by the local clock; nil before the first checkpoint was verified. The
    /// number orders what two tasks ask for at the same time.
    func verified() -> (state: VerifiedState, number: UInt64)? {
        guard position.size > 0 else { return nil }
        snapshots += 1
        let age = max(0, configuration.now() - position.quorumTime)
        let condition: LedgerCondition =
            if let halt = position.halt {
                .halted(halt.result, message: halt.message)
            } else if Freshness(age: age) > .normal {
                .stale(age: age)
            } else {
                .normal
            }
        let verified = VerifiedState(
            state: state,
            size: position.size,
            root: position.root,
            quorumTime: position.quorumTime,
            condition: condition
        )
        return (verified, snapshots)
    }

    // MARK: One round

    /// Asks one source for its checkpoint and follows it, or refuses it.
    ///
    /// - Parameter wait: seconds of a long poll; nil asks plainly.
    /// - Throws: `LedgerRefusal`, `TrustStoreError` or an error of the database.
    func round(_ source: LedgerClient.Source, wait: Int?) async throws -> News {
        let answer: LedgerClient.CheckpointAnswer
        do throws(LedgerClientError) {
            // Before anything is trusted there is no size to wait behind.
            let isLongPoll = wait != nil && position.size > 0
            answer = try await client.checkpoint(
                from: source,
                after: isLongPoll ? position.size : nil,
                wait: isLongPoll ? wait : nil,
                etag: etags[source.index]
            )
        } catch {
            throw LedgerRefusal(error)
        }
        switch answer {
        case .nothingNewer:
            return .nothingNewer
        case .notModified:
            // The source says that the trusted checkpoint is its newest; only without witnesses is that a fresh time.
            guard state.policy?.quorum == WitnessPolicy.Quorum.none, configuration.isDev else { return .unchanged }
            try await renew(checkpoint: position.checkpoint, quorumTime: configuration.now())
            return .renewed
        case .note(let bytes, let etag):
            etags[source.index] = nil
            let news = try await take(bytes, source)
            if position.checkpoint == bytes, let etag, etag.utf8.count <= Self.longestTag {
                etags[source.index] = etag
            }
            return news
        }
    }

    private func take(_ bytes: [UInt8], _ source: LedgerClient.Source) async throws -> News {
        let checkpoint: Checkpoint
        do throws(VerificationResult) {
            checkpoint = try Checkpoint(parsing: bytes)
        } catch {
            throw LedgerRefusal(error, source: source, "the answer to /checkpoint is no checkpoint")
        }
        let rules = try await rules(checkpoint, source)
        let quorumTime = try await judge(checkpoint, rules, source)
        if checkpoint.size > position.size {
            try await advance(to: checkpoint, quorumTime, rules, source)
            return .advanced
        }
        try await compare(checkpoint, source)
        guard quorumTime > position.quorumTime || position.halt != nil else { return .unchanged }
        try await renew(checkpoint: bytes, quorumTime: max(quorumTime, position.quorumTime))
        return .renewed
    }

    /// Steps 3 and 4: origin, ledger signature, quorum. Returns the quorum time.
    private func judge(
        _ checkpoint: Checkpoint,
        _ rules: Rules,
        _ source: LedgerClient.Source
    ) async throws -> Timestamp {
        let now = configuration.now()
        let judge = CheckpointJudge(
            origin: rules.origin,
            ledgerKeys: rules.keys,
            policy: rules.policy,
            dev: configuration.isDev
        )
        switch judge.judge(checkpoint, localNow: now) {
        case .success(let judged):
            strangers.remove(source.index)
            return judged.quorumTime ?? now
        case .failure(let result):
            let size = checkpoint.size
            switch result {
            case .checkpointOrigin:
                let what = "its checkpoint is of origin \(checkpoint.origin), the ledger's is \(rules.origin)"
                throw LedgerRefusal(result, source: source, what)
            case .checkpointSignature:
                guard let lines = try? checkpoint.note.verified(by: rules.keys), lines.isEmpty else {
                    throw LedgerRefusal(
                        result,
                        source: source,
                        "a signature of its checkpoint of size \(size) is forged"
                    )
                }
                try await noteStranger(checkpoint, source)
                let what = "its checkpoint of size \(size) carries no signature of a known ledger key"
                throw LedgerRefusal(result, source: source, what)
            case .checkpointQuorum:
                if case .none = rules.policy.quorum {
                    let what = "the ledger has no witnesses (quorum none); this is accepted only with --dev"
                    throw LedgerRefusal(result, source: source, what)
                }
                let what = "too few witnesses cosigned its checkpoint of size \(size)"
                throw LedgerRefusal(result, source: source, what)
            default:
                throw LedgerRefusal(result, source: source, "its checkpoint of size \(size) is refused")
            }
        }
    }

    /// Halts when all sources show only unknown keys: the ledger may have changed its keys, which needs an operator.
    private func noteStranger(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws {
        strangers.insert(source.index)
        guard strangers.count == client.sources.count, position.size > 0, position.halt == nil else { return }
        try await stop(
            .checkpointSignature,
            "only unknown keys signed the checkpoint of size \(checkpoint.size) at \(source.url); "
                + "the last verified state of size \(position.size) stays in force"
        )
    }

    /// The rules at the trusted size; before anything is trusted, those of the pinned genesis.
    private func rules(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws -> Rules {
        if position.size == 0, genesis == nil {
            guard checkpoint.size > 0 else {
                let what = "\(source.url): the ledger has no entries yet"
                throw LedgerRefusal(.unreachable, code: "withholding", source: source.url, message: what)
            }
            genesis = try await fetchGenesis(checkpoint, source)
        }
        let state = position.size == 0 ? genesis : state
        guard let state, let origin = state.meta?.origin, let policy = state.policy else {
            throw LedgerRefusal(.entriesMismatch, source: source, "the pinned genesis has no effect")
        }
        return Rules(origin: origin, keys: state.ledgerKeys, policy: policy)
    }

    /// Entry 0, believed because its txid is the pin and its signatures are valid under its own root keys.
    private func fetchGenesis(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws -> ContractState {
        let width = Int(min(checkpoint.size, UInt64(TilePath.fullWidth)))
        let bundle = FetchedEntries.Bundle(index: 0, width: width, skip: 0)
        let leaves = try await client.leaves(bundle, from: source, false)
        let pin = configuration.ledgerID
        let envelope = try? Envelope(leaf: leaves[0])
        guard let envelope, envelope.id == pin else {
            let found = envelope.map { "entry \($0.id.hex)" } ?? "no entry"
            let what = "its log begins with \(found), not with the pinned genesis \(pin.hex)"
            throw LedgerRefusal(.entriesMismatch, source: source, what)
        }
        var state = ContractState()
        guard case .outcome(let outcome) = state.fold(leaves[0]), outcome.code == .ok else {
            throw LedgerRefusal(.entriesMismatch, source: source, "the pinned genesis is not validly signed there")
        }
        return state
    }

    // MARK: Moving

    private func advance(
        to checkpoint: Checkpoint,
        _ quorumTime: Timestamp,
        _ rules: Rules,
        _ source: LedgerClient.Source
    ) async throws {
        let (entries, origin) = try await provenEntries(checkpoint, source)
        var fold = EntryFold(state: state, keyset: position.keyset, quorumTime: quorumTime)
        var page = TrustStore.Page(start: position.size)
        for bundle in entries.bundles {
            try Task.checkCancellation()
            if page.leaves.count >= Self.pageSize {
                try await store.prepare(page, beyond: position)
                page = TrustStore.Page(start: page.start + UInt64(page.leaves.count))
            }
            let leaves = try await self.leaves(of: bundle, origin)
            page.leaves += leaves.map { MerkleTree.leafHash($0) }
            page.outcomes += await fold.append(leaves)
            if let stop = fold.stop {
                try await self.stop(stop, fold.stopMessage)
                throw LedgerRefusal(TrustedPosition.Halt(result: stop, message: fold.stopMessage))
            }
        }
        var quorumTime = quorumTime
        if let policy = fold.state.policy, policy.text != rules.policy.text {
            let changed = Rules(origin: rules.origin, keys: rules.keys, policy: policy)
            quorumTime = min(quorumTime, try await judge(checkpoint, changed, source))
        }
        var next = position
        next.origin = checkpoint.origin
        next.keyset = fold.keyset
        next.root = checkpoint.root
        next.checkpoint = checkpoint.bytes
        next.edge = entries.edge
        next.outcomes = fold.state.outcomes
        next.stateRoot = fold.state.stateRoot()
        next.lastTick = fold.state.now
        next.quorumTime = max(quorumTime, position.quorumTime)
        next.halt = nil
        let changes = fold.state.takeChanges()
        // From here on the step is durable; only then is it shown to anybody.
        try await store.advance(from: position, to: next, changes, page)
        recent[position.size] = position.root
        if recent.count > Self.rememberedSizes, let oldest = recent.keys.min() { recent[oldest] = nil }
        position = next
        state = fold.state
        storedQuorumTime = next.quorumTime
        genesis = nil
        etags = [:]
    }

    /// The bytes of a proven bundle: kept, or fetched again and compared with the hashes that were proven.
    private func leaves(
        of bundle: FetchedEntries.Bundle,
        _ source: LedgerClient.Source
    ) async throws -> [[UInt8]] {
        if let leaves = bundle.leaves { return leaves }
        let leaves = try await client.leaves(bundle, from: source, false)
        guard FetchedEntries.digest(leaves.map { MerkleTree.leafHash($0) }) == bundle.digest else {
            throw LedgerRefusal(
                .entriesMismatch,
                source: source,
                "its bundle \(bundle.index) changed while it was read"
            )
        }
        return leaves
    }

    /// A later quorum time for the trusted tree. Durable when it lies well ahead of the stored one.
    private func renew(checkpoint: [UInt8], quorumTime: Timestamp) async throws {
        var next = position
        next.checkpoint = checkpoint
        next.quorumTime = quorumTime
        next.halt = nil
        if next.halt != position.halt || quorumTime >= storedQuorumTime + Self.renewalStep {
            try await store.renew(from: position, to: next)
            storedQuorumTime = quorumTime
        }
        position = next
    }

    /// Makes a halt durable. The state stays as it is.
    func stop(_ result: VerificationResult, _ message: String) async throws {
        var next = position
        next.halt = TrustedPosition.Halt(result: result, message: message)
        try await store.renew(from: position, to: next)
        storedQuorumTime = next.quorumTime
        position = next
        logger.debug("halted", metadata: ["code": "\(result.rawValue)", "reason": "\(message)"])
    }
}
