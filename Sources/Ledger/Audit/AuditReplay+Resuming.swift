import Contracts

extension AuditReplay {
    /// Entries between two saves: what a crash may cost, some seconds of all cores. A save costs a write of most pages of
    /// the file, however few rows changed.
    private static let savedEvery: UInt64 = 131_072

    /// Proves the leaves of a log, and that it begins with the entries that were folded before.
    static func leaves(of source: any LogSource, beginningWith replay: LogReplay) async throws -> VerifiedLeaves {
        let known = replay.state.size
        let leaves = try await LogAudit.leaves(from: source, rootSizes: known == 0 ? [] : [known])
        guard leaves.checkpoint.size >= known else {
            throw AuditFailure(
                .checkpointStale,
                "the log has \(leaves.checkpoint.size) entries, \(known) were verified before"
            )
        }
        guard known == 0 || leaves.roots[known] == replay.tree.root else {
            throw AuditFailure(
                .checkpointFork,
                "the first \(known) entries are not those that were verified before; compare with `audit diff`"
            )
        }
        return leaves
    }

    /// Folds what is new, and saves it now and then, at the end, and when the source goes away.
    static func fold(
        _ leaves: VerifiedLeaves,
        from source: any LogSource,
        _ options: AuditOptions,
        into replay: inout LogReplay,
        savedBy store: AuditStore,
        _ progress: (UInt64) -> Void
    ) async throws {
        var next = replay.state.size + savedEvery
        // One step is written while the next one is folded.
        try await withThrowingTaskGroup(of: Void.self) { writing in
            var failure: (any Error)?
            do {
                try await LogAudit.fold(
                    leaves,
                    from: source,
                    ledgerID: options.ledgerID,
                    into: &replay,
                    observe: { _, _ in },
                    afterBundle: { replay in
                        guard replay.state.size >= next else { return }
                        next = replay.state.size + savedEvery
                        try await writing.next()
                        let step = await store.step(&replay)
                        writing.addTask { try await store.save(step) }
                    },
                    progress: progress
                )
            } catch let error where !(error is AuditStoreError) {
                // What was folded is proven to be in the log, whatever came after it.
                failure = error
            }
            try await writing.waitForAll()
            try await store.save(await store.step(&replay))
            if let failure { throw failure }
        }
    }
}
