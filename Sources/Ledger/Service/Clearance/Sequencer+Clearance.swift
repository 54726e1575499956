internal import Contracts

extension Sequencer {
    /// Sequences until `stop`, from the moment when the ledger may sign.
    func run(after clearance: SigningClearance, from stored: StoredLedger) async throws {
        guard let lock = try await awaitClearance(clearance, from: stored) else { return }
        defer { lock.release() }
        try await run()
    }

    /// Waits for the clearance to sign, and takes up what the database holds by then.
    ///
    /// - Returns: the lock that says so, to be kept while this sequencer runs; nil if it was stopped meanwhile.
    private func awaitClearance(_ clearance: SigningClearance, from stored: StoredLedger) async throws -> DirectoryLock?
    {
        let cleared = try await withThrowingTaskGroup(of: (lock: DirectoryLock, stored: StoredLedger)?.self) { group in
            group.addTask { try await clearance.wait(from: stored) { sentence in await self.holdBack(sentence) } }
            group.addTask {
                while await !self.isStopping { try await Task.sleep(for: .milliseconds(50)) }
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let cleared else { return nil }
        resume(from: cleared.stored)
        return cleared.lock
    }

    func holdBack(_ sentence: String) { failure = sentence }

    private func resume(from stored: StoredLedger) {
        head = SequencedHead(state: stored.state, tree: stored.head.tree, edge: stored.edge)
        failure = nil
    }
}
