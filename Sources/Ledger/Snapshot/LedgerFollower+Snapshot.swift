internal import Contracts
internal import Logging

extension LedgerFollower {
    /// Starts from an attested snapshot of the source, when nothing is trusted yet and the configuration asks for it.
    ///
    /// What is wrong with a snapshot is reported, and the next one is tried; after the last the follower goes on from
    /// genesis.
    /// - Parameter genesis: the state after the pinned genesis.
    /// - Returns: whether the checkpoint is trusted now.
    func startFromSnapshot(
        _ checkpoint: Checkpoint,
        genesis: ContractState,
        _ source: LedgerClient.Source
    ) async throws -> Bool {
        let start = SnapshotStart(client: client, source: source, logger: logger)
        do {
            let sizes = try await client.snapshotSizes(from: source).lines.filter(\.isAttested).map(\.size)
            guard !sizes.isEmpty else { throw start.refusal(.missing, "it has no attested snapshot") }
            let chain = try await start.keyChain(genesis)
            guard let now = chain.states.last, let origin = now.meta?.origin, let policy = now.policy else {
                throw start.refusal(.keys, "its key chain has no genesis")
            }
            let (rules, quorumTime) = try await judge(
                checkpoint,
                Rules(origin: origin, keys: now.ledgerKeys, policy: policy),
                source
            )
            let pinned = try startSize(before: checkpoint, rules, source)
            for size in sizes.prefix(SnapshotStart.mostTried) {
                do {
                    let started = try await start.run(size: size, checkpoint, quorumTime, chain)
                    // Evidence of a pinned checkpoint that is not on the way comes from a replay.
                    if let pinned, started.root(at: pinned.size) != pinned.root { return false }
                    try await take(started, checkpoint, rules, quorumTime, source)
                    logger.info(
                        "started from an attested snapshot",
                        metadata: ["snapshot": "\(size)", "size": "\(checkpoint.size)", "source": "\(source)"]
                    )
                    return true
                } catch let error where isPassing(error) {
                    report(LedgerRefusal(local: error))
                }
            }
        } catch let error where isPassing(error) {
            report(LedgerRefusal(local: error))
        }
        return false
    }

    /// Makes the started state durable and trusts it.
    private func take(
        _ started: StartedState,
        _ checkpoint: Checkpoint,
        _ rules: Rules,
        _ judged: Timestamp,
        _ source: LedgerClient.Source
    ) async throws {
        var (started, quorumTime) = (started, judged)
        if let policy = started.state.policy, policy.text != rules.policy.text {
            let changed = Rules(origin: rules.origin, keys: rules.keys, policy: policy)
            quorumTime = min(quorumTime, try await judge(checkpoint, changed, source).quorumTime)
        }
        var next = position
        next.origin = checkpoint.origin
        next.keyset = started.keyset
        next.root = checkpoint.root
        next.checkpoint = checkpoint.bytes
        next.edge = started.edge
        next.outcomes = started.state.outcomes
        next.stateRoot = started.state.stateRoot()
        next.lastTick = started.state.now
        next.quorumTime = quorumTime
        // Ascending keys keep the database's pages in order; the rows that changed since follow and win.
        let rows = WrittenRows(attested: started.rows, later: started.state.takeChanges())
        started.rows = MergedRows(chunks: [])
        let page = TrustStore.Page(start: 0, outcomes: started.outcomes, leaves: started.leaves)
        let note = started.signed.state
        let attested = PassedSize(
            size: note.size,
            root: note.root,
            outcomeRoot: note.outcomeRoot,
            stateRoot: note.stateRoot
        )
        let end = PassedSize(
            size: next.size,
            root: next.root,
            outcomeRoot: started.state.outcomeRoot,
            stateRoot: next.stateRoot
        )
        try await store.advance(
            from: position,
            to: next,
            rows,
            page,
            keys: started.keys.keys,
            passed: attested.size < end.size ? [attested, end] : [end],
            begunWith: SnapshotOrigin(started.signed)
        )
        // At this point a restart goes on from here; only now it is shown to anybody.
        position = next
        state = started.state
        keys = started.keys
        origin = SnapshotOrigin(started.signed)
        storedQuorumTime = next.quorumTime
        noteQuorumTime()
        genesis = nil
        etags = [:]
    }

    /// Whether the follower can do without the snapshot after this error.
    private func isPassing(_ error: any Error) -> Bool {
        guard !(error is CancellationError), !Task.isCancelled else { return false }
        return error is LedgerClientError || (error as? LedgerRefusal)?.kind == .refused
            || (error as? LedgerRefusal)?.kind == .unreachable
    }

    private func report(_ refusal: LedgerRefusal) {
        logger.warning(
            "no start from a snapshot, \(refusal.message)",
            metadata: ["code": "\(refusal.code)", "source": "\(refusal.source)"]
        )
        configuration.onRefusal(refusal)
    }
}
