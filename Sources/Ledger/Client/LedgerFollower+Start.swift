internal import Contracts

/// Step 1: the optional pinned checkpoint as a condition of the first start.
extension LedgerFollower {
    /// Oldest quorum time of a pinned checkpoint, in seconds (protocol.md 10.2 step 1).
    private static let oldestPin: Int64 = 1_209_600

    /// The pinned checkpoint, as long as nothing is trusted yet.
    var startCondition: [UInt8]? { position.size == 0 ? configuration.startCheckpoint : nil }

    /// Refuses a first checkpoint that is older than the pinned one; and a pinned one that is malformed, of another ledger,
    /// without valid signatures or quorum under the same rules, or too old.
    func startSize(before checkpoint: Checkpoint, _ rules: Rules, _ source: LedgerClient.Source) throws -> Checkpoint? {
        guard let bytes = startCondition else { return nil }
        let now = configuration.now()
        let judge = CheckpointJudge(
            origin: rules.origin,
            ledgerKeys: rules.keys,
            policy: rules.policy,
            dev: configuration.isDev,
            check: check
        )
        switch judge.judge(note: bytes, localNow: now) {
        case .failure(let result):
            throw LedgerRefusal(
                .refused,
                code: result.rawValue,
                source: "",
                message: "the pinned checkpoint is not valid for this ledger; get a new one from somebody you trust"
            )
        case .success(let pinned):
            let age = now - (pinned.quorumTime ?? now)
            guard age <= Self.oldestPin else {
                throw LedgerRefusal(
                    .refused,
                    code: VerificationResult.checkpointStale.rawValue,
                    source: "",
                    message: "the pinned checkpoint is \(age / 86_400) days old, 14 are allowed; get a newer one"
                )
            }
            guard checkpoint.size >= pinned.checkpoint.size else {
                let what =
                    "its checkpoint of size \(checkpoint.size) is older than the pinned one of size "
                    + "\(pinned.checkpoint.size)"
                throw LedgerRefusal(.checkpointStale, source: source, what)
            }
            return pinned.checkpoint
        }
    }

    /// Refuses proven entries that do not go through the pinned checkpoint, and keeps the evidence of that.
    func check(
        _ pinned: Checkpoint,
        in entries: FetchedEntries,
        _ checkpoint: Checkpoint,
        _ source: LedgerClient.Source
    )
        async throws
    {
        guard let root = entries.roots[pinned.size], root != pinned.root else { return }
        let proof = try await readingTiles(size: checkpoint.size, from: source) { read in
            try Proofs.consistency(from: pinned.size, to: checkpoint.size, read: read)
        }
        let evidence = ForkEvidence(a: pinned, b: checkpoint, prefixRoot: root, proof: proof)
        let path = try store.keep(evidence)
        let what = "its log does not go through the pinned checkpoint of size \(pinned.size); evidence is in \(path)"
        throw LedgerRefusal(.checkpointFork, source: source, what)
    }
}
