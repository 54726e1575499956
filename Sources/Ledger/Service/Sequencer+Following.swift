internal import Contracts
internal import Logging

extension Sequencer {
    /// Takes the next batch that another writer committed, if there is one.
    ///
    /// Whoever keeps the log is trusted for its order only: every leaf is folded here, and a batch whose tree, outcomes
    /// or codes are not what this server makes of it ends the server instead of being kept.
    /// - Returns: false if this server has all that is committed.
    func follow() async throws -> Bool {
        guard let committed = try await log.batch(after: head.logHead) else {
            isBehind = false
            return false
        }
        guard committed.base == head.size, !committed.leaves.isEmpty else {
            throw StoreError.contradiction("the log goes on at entry \(committed.base), this server has \(head.size)")
        }
        var draft = Draft(on: head)
        for leaf in committed.leaves { try fold(leaf, in: &draft) }
        let made = draft.head.logHead
        guard made.root == committed.root, made.outcomes.root == committed.outcomeRoot ?? made.outcomes.root else {
            throw StoreError.contradiction(
                "the batch of another writer at entry \(committed.base) does not give the root that came with it"
            )
        }
        guard publisher.signer.canSign(draft.head.state) else {
            throw StoreError.contradiction(
                "after entry \(made.size - 1) this server cannot sign for the ledger's keys or witness policy; give it "
                    + "the key that the other servers use"
            )
        }
        let ahead = draft.head.state.now - clock()
        if draft.head.state.now > head.state.now, ahead > EntryFold.tickTolerance {
            logger.warning("ledger time is ahead of this server's clock", metadata: ["seconds": "\(ahead)"])
        }
        draft.finish()
        try await log.follow(draft.batch)
        // At this point the batch is on this server's disk too; before it is signed the disk has to show it.
        self.committed = (draft.head, [])
        try await readBack()
        return true
    }

    private func fold(_ leaf: [UInt8], in draft: inout Draft) throws {
        let index = draft.head.size
        let parsed = ParsedEntry(leaf: leaf)
        guard case .entry(let entry) = parsed else {
            throw StoreError.contradiction("entry \(index) of another writer is none that a ledger logs")
        }
        switch draft.fold(entry, parsed, SignatureVerdicts(), leaf: leaf, admits: { _ in true }) {
        case .accepted:
            return
        case .refused(let rejection):
            throw StoreError.contradiction(
                "entry \(index) of another writer has the code \(rejection.code.rawValue), and only ok is logged"
            )
        case .stopped:
            throw StoreError.contradiction(
                "entry \(index) of another writer needs rules that this server does not know"
            )
        }
    }
}
