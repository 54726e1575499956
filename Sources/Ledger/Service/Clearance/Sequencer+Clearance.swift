internal import Contracts

/// Why a server follows a shared log without adding to it or signing it.
enum Restraint: Sendable, Hashable {
    /// Others are being asked what was signed; what is submitted meanwhile waits.
    case asking
    /// It is known what is waited for.
    case waiting(String)

    var sentence: String? {
        if case .waiting(let sentence) = self { sentence } else { nil }
    }
}

extension Sequencer {
    func showAtDoor() {
        queue.changeDoor { $0.failure = failure ?? publicationFailure ?? restraint?.sentence }
    }

    /// Puts a server of a shared log under a restraint, or lifts it.
    func restrain(_ restraint: Restraint?) {
        self.restraint = restraint
        if let sentence = restraint?.sentence {
            answerQueue(.unavailable(reason: sentence, retryAfterSeconds: 2))
        }
        wake.yield()
        announce.yield()
    }

    /// Sequences until `stop`, from the moment when the ledger may sign.
    ///
    /// What is submitted while others are still asked what was signed waits in the queue: the answer mostly is that the
    /// ledger may sign. It is refused from the moment when it is known that the ledger is held back.
    func run(after clearance: SigningClearance, from stored: StoredLedger) async throws {
        guard let lock = try await awaitClearance(clearance, from: stored) else {
            answerQueue(.unavailable(reason: "the server is stopping", retryAfterSeconds: 5))
            return
        }
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

    private func holdBack(_ sentence: String) {
        failure = sentence
        answerQueue(.unavailable(reason: sentence, retryAfterSeconds: 2))
    }

    private func resume(from stored: StoredLedger) {
        head = SequencedHead(state: stored.state, tree: stored.head.tree, edge: stored.edge)
        failure = nil
    }
}
