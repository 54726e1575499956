internal import Contracts

extension LedgerFollower {
    /// Origin, keys and policy that checkpoints are judged by.
    struct Rules {
        var origin: String
        var keys: [VerifierKey]
        var policy: WitnessPolicy
        /// Leaf hashes of the key chain beyond the trusted position, by which `keys` were reached. As long as there are
        /// any, what the rules accept is provisional.
        var ahead: [Digest] = []
    }

    /// Steps 3 and 4: origin, ledger signature, quorum. Returns the rules that accepted it, and its quorum time.
    func judge(
        _ checkpoint: Checkpoint,
        _ rules: Rules,
        _ source: LedgerClient.Source
    ) async throws -> (rules: Rules, quorumTime: Timestamp) {
        let now = configuration.now()
        let judge = CheckpointJudge(
            origin: rules.origin,
            ledgerKeys: rules.keys,
            policy: rules.policy,
            dev: configuration.isDev,
            check: check
        )
        let size = checkpoint.size
        switch judge.judge(checkpoint, localNow: now) {
        case .success(let judged):
            strangers.remove(source.index)
            let quorumTime = judged.quorumTime ?? now
            try await noteClock(quorumTime: quorumTime, now: now)
            return (rules, quorumTime)
        case .failure(.checkpointOrigin):
            let what = "its checkpoint is of origin \(checkpoint.origin), the ledger's is \(rules.origin)"
            throw LedgerRefusal(.checkpointOrigin, source: source, what)
        case .failure(.checkpointSignature):
            guard let lines = try? checkpoint.note.verified(by: rules.keys, check: check), lines.isEmpty else {
                let what = "a signature of its checkpoint of size \(size) is forged"
                throw LedgerRefusal(.checkpointSignature, source: source, what)
            }
            if rules.ahead.isEmpty, let further = try await rulesAhead(of: rules, checkpoint, source) {
                return try await self.judge(checkpoint, further, source)
            }
            try await noteStranger(checkpoint, source)
            let what = "its checkpoint of size \(size) carries no signature of a known ledger key"
            throw LedgerRefusal(.checkpointSignature, source: source, what)
        case .failure(.checkpointQuorum):
            if case .none = rules.policy.quorum {
                let what = "the ledger has no witnesses (quorum none); this is accepted only with --dev"
                throw LedgerRefusal(.checkpointQuorum, source: source, what)
            }
            if case .success(let judged) = judge.judge(checkpoint, localNow: nil), let time = judged.quorumTime {
                // Enough witnesses, all of them ahead of this machine.
                try await noteClock(quorumTime: time, now: now)
            }
            let what = "too few witnesses cosigned its checkpoint of size \(size)"
            throw LedgerRefusal(.checkpointQuorum, source: source, what)
        case .failure(let result):
            throw LedgerRefusal(result, source: source, "its checkpoint of size \(size) is refused")
        }
    }

    /// Section 10.5: a quorum of witnesses whose time is more than 300 s off the local clock is an alarm. Age is then
    /// counted by the monotonic clock as well, whichever is older (`QuorumClock`).
    private func noteClock(quorumTime: Timestamp, now: Timestamp) async throws {
        guard quorumTime > position.quorumTime else { return }
        let offset = quorumTime - now
        guard abs(offset) > WitnessPolicy.clockTolerance else {
            try await set(alarm: .clockSkew, nil)
            return
        }
        // At the first start a ledger that rested says nothing about the clock.
        guard offset > 0 || position.quorumTime > 0 else { return }
        let what =
            offset > 0
            ? "a quorum of witnesses is more than \(WitnessPolicy.clockTolerance) s ahead of this machine's clock; set the clock"
            : "the newest cosignatures are more than \(WitnessPolicy.clockTolerance) s behind this machine's clock; "
                + "the clock is ahead, or witnesses and ledger lag"
        try await set(alarm: .clockSkew, what + "; age is counted by the older of both, nothing is extended")
    }

    /// Halts when all sources show only unknown keys: the ledger may have changed its keys, which needs an operator.
    private func noteStranger(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws {
        guard !source.role.isObserver else { return }
        strangers.insert(source.index)
        guard strangers.count == client.sources.count, position.size > 0, position.halt == nil else { return }
        try await stop(
            .checkpointSignature,
            "only unknown keys signed the checkpoint of size \(checkpoint.size) at \(source.url); "
                + "the last verified state of size \(position.size) stays in force"
        )
    }

    /// The rules at the trusted size; before anything is trusted, those of the pinned genesis.
    func rules(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws -> Rules {
        if position.size == 0, genesis == nil {
            guard checkpoint.size > 0 else {
                let what = "\(source.url): the ledger has no entries yet"
                throw LedgerRefusal(.unreachable, code: "withholding", source: source.url, message: what)
            }
            genesis = try await fetchGenesis(checkpoint, source)
        }
        guard let state = trustedState, let origin = state.meta?.origin, let policy = state.policy else {
            throw LedgerRefusal(.entriesMismatch, source: source, "the pinned genesis has no effect")
        }
        return Rules(origin: origin, keys: state.ledgerKeys, policy: policy)
    }

    /// The state whose keys and policy judge the next checkpoint; nil before genesis was read.
    var trustedState: ContractState? { position.size == 0 ? genesis : state }

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
}
