import Contracts

extension AuditDiff {
    /// A log to compare, with the pack around it when there is one.
    public struct Log: Sendable {
        public let source: any LogSource
        public let pack: FixturePack?

        public init(_ source: any LogSource, pack: FixturePack? = nil) {
            self.source = source
            self.pack = pack
        }
    }

    /// Compares two logs of the pinned ledger. Errors of a source are thrown; what is wrong with its data is in the result,
    /// or, when the two cannot be compared at all, an `AuditFailure`.
    ///
    /// - Parameter isQuick: finds the entry where they part from a few tiles, and folds nothing: codes, outcomes, quorums and
    ///   evidence stay unknown.
    public static func run(
        _ a: Log,
        _ b: Log,
        options: AuditOptions,
        isQuick: Bool = false,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> AuditDiff {
        do {
            return try await compare(a, b, options, isQuick, progress)
        } catch let error as LogUnreadable {
            throw error.failure
        }
    }

    private static func compare(
        _ logA: Log,
        _ logB: Log,
        _ options: AuditOptions,
        _ isQuick: Bool,
        _ progress: (UInt64) -> Void
    ) async throws -> AuditDiff {
        var treeA = try await tree(logA, options, "first")
        var treeB = try await tree(logB, options, "second")
        let shared = try await LogTree.shared(&treeA, &treeB)
        var diff = AuditDiff(relation: .different, shared: shared, a: Side(treeA), b: Side(treeB))
        if shared == min(treeA.size, treeB.size) { diff.relation = treeA.size == treeB.size ? .equal : .prefix }
        if shared < treeA.size { diff.a.entry = EntrySummary(try await treeA.leaf(at: shared), index: shared) }
        if shared < treeB.size { diff.b.entry = EntrySummary(try await treeB.leaf(at: shared), index: shared) }
        if isQuick {
            try diff.compareOutcomes(logA, logB, nil, nil)
            return diff
        }
        // The first log goes first; what the logs share is folded once.
        let branchA = await Branch.fold(treeA, from: LogReplay(), until: shared, options, progress)
        let branchB = await Branch.fold(treeB, from: branchA.shared ?? LogReplay(), until: shared, options, progress)
        if let error = branchA.error ?? branchB.error { throw error }
        diff.a.take(branchA)
        diff.b.take(branchB)
        let common = branchA.outcomes.prefix(Int(shared))
        try diff.compareOutcomes(
            logA,
            logB,
            branchA.outcomes,
            branchB.start == 0 ? branchB.outcomes : Array(common) + branchB.outcomes
        )
        if diff.relation == .different {
            var chain = branchA.replay.keyChain
            chain.add(branchB.replay.keyChain.keys)
            diff.evidence = try await evidence(&treeA, &treeB, chain)
        }
        return diff
    }

    /// Reads a checkpoint and proves that the log begins with the pinned genesis.
    private static func tree(_ log: Log, _ options: AuditOptions, _ which: String) async throws -> LogTree {
        do {
            var tree = try await LogTree(log.source)
            guard tree.size > 0 else { return tree }
            guard ParsedEntry(leaf: try await tree.leaf(at: 0)).id == options.ledgerID else {
                throw AuditFailure(
                    .entriesMismatch,
                    "the first entry is not the genesis of \(options.ledgerID)",
                    index: 0
                )
            }
            return tree
        } catch let failure as AuditFailure {
            throw AuditFailure(code: failure.code, "the \(which) log: \(failure.message)", index: failure.index)
        }
    }

    /// Compares what the packs recorded, and what was computed where there is no pack.
    private mutating func compareOutcomes(
        _ logA: Log,
        _ logB: Log,
        _ computedA: [Outcome]?,
        _ computedB: [Outcome]?
    ) throws {
        guard let listA = try Self.outcomes(logA, computedA), let listB = try Self.outcomes(logB, computedB),
            let index = OutcomeList.firstDifference(listA, listB)
        else { return }
        firstBadOutcome = index
        a.outcome = listA.line(index)
        b.outcome = listB.line(index)
    }

    private static func outcomes(_ log: Log, _ computed: [Outcome]?) throws -> OutcomeList? {
        if let pack = log.pack { return OutcomeList(recorded: try pack.requiredFile("outcomes.jsonl")) }
        return computed.map(OutcomeList.init(computed:))
    }

    /// The proof that one ledger signed both; nil when a signature is missing.
    private static func evidence(
        _ treeA: inout LogTree,
        _ treeB: inout LogTree,
        _ chain: KeyChain
    ) async throws -> ForkEvidence? {
        if treeA.size > treeB.size { return try await evidence(&treeB, &treeA, chain) }
        let prefix = try await treeB.root(at: treeA.size)
        let proof = treeA.size == treeB.size ? [] : try await treeB.consistency(from: treeA.size)
        let evidence = ForkEvidence(a: treeA.checkpoint, b: treeB.checkpoint, prefixRoot: prefix, proof: proof)
        return evidence.verify(keyChain: chain) == .ok ? evidence : nil
    }
}

/// The fold of one of two logs, with the state where they part.
private struct Branch {
    var replay: LogReplay
    /// Entries that the replay had folded before.
    let start: UInt64
    var shared: LogReplay?
    /// Outcomes from `start` on.
    var outcomes: [Outcome] = []
    var summary: Code?
    var quorumTime: Timestamp?
    var failure: AuditFailure?
    /// An outage: neither log is to blame.
    var error: (any Error)?

    static func fold(
        _ tree: LogTree,
        from replay: LogReplay,
        until shared: UInt64,
        _ options: AuditOptions,
        _ progress: (UInt64) -> Void
    ) async -> Branch {
        var branch = Branch(replay: replay, start: replay.state.size)
        do {
            let leaves = try await TileAudit.run(tree.checkpoint, from: tree.source)
            var (replay, outcomes) = (replay, [Outcome]())
            defer { (branch.replay, branch.outcomes) = (replay, outcomes) }
            try await LogAudit.fold(
                leaves,
                from: tree.source,
                ledgerID: options.ledgerID,
                into: &replay,
                observe: { replay, outcome in
                    if replay.state.size == shared { branch.shared = replay }
                    guard let outcome else { return }
                    outcomes.append(outcome)
                    if outcome.index == shared { branch.summary = outcome.code }
                },
                progress: progress
            )
            let judged = try replay.judge(tree.checkpoint, dev: options.dev, localNow: options.localNow).get()
            branch.quorumTime = judged.quorumTime ?? options.localNow
        } catch let failure as AuditFailure {
            branch.failure = failure
        } catch let error as LogUnreadable {
            branch.failure = error.failure
        } catch {
            branch.error = error
        }
        return branch
    }
}

extension AuditDiff.Side {
    fileprivate mutating func take(_ branch: Branch) {
        entry?.code = branch.summary
        quorumTime = branch.quorumTime
        failure = branch.failure
    }
}
