internal import Contracts
internal import Logging

extension Sequencer {
    /// Signs the committed head, has it cosigned, shows it and answers those who wait for it.
    ///
    /// - Throws: `QuorumMissing` when too few witnesses cosigned; nothing is shown then, and the entries stay committed.
    func publishHead() async throws {
        // Read back: what is signed is what the disk holds, not what memory believes.
        let stored = try await log.head()
        guard stored == head.logHead else {
            throw StoreError.headMoved(expected: head.size, found: stored.size)
        }
        try await log.permitSigning(size: stored.size, root: stored.root)
        // At this point a second signature of this size can only be over the same root.
        let note = try await publisher.checkpoint(size: stored.size, root: stored.root, now: head.state.now)
        try await log.publish(checkpoint: note, size: stored.size)
        // At this point a restart shows a checkpoint of this tree; only now anybody may see it.
        show(PublishedCheckpoint(size: stored.size, note: note))
        await answerPublished()
    }

    private func show(_ checkpoint: PublishedCheckpoint) {
        board.publish(checkpoint)
        publishedAt = .now
        if quorum.met() { logger.notice("enough witnesses cosign again") }
    }

    /// Takes note that too few witnesses cosigned.
    func missed(_ missing: QuorumMissing) {
        if quorum.missed(.now) {
            logger.error("nothing is published until enough witnesses cosign", metadata: ["reason": "\(missing)"])
        }
    }

    /// Has the tree that is shown cosigned anew when its cosignatures are a minute old, so that who follows an idle
    /// ledger knows that nothing is held back (protocol.md 10.5).
    ///
    /// Runs beside the batches. A failure changes nothing: the older checkpoint stays, and the next second tries again.
    func renew() async {
        let tree = head
        // A ledger whose policy once asked for witnesses never goes back to none.
        guard tree.state.policy?.quorum != WitnessPolicy.Quorum.none, let newest = board.newest,
            newest.size == tree.size, tree.size > 0, quorum.isDue(.now),
            publishedAt.map({ ContinuousClock.now - $0 >= limits.renewal }) ?? true, !isRenewing
        else { return }
        isRenewing = true
        defer { isRenewing = false }
        do {
            try await log.permitSigning(size: tree.size, root: tree.logHead.root)
            let root = tree.logHead.root
            let note = try await publisher.checkpoint(size: tree.size, root: root, now: tree.state.now)
            // A larger tree may have been shown meanwhile.
            if board.newest?.size == tree.size { show(PublishedCheckpoint(size: tree.size, note: note)) }
        } catch let missing as QuorumMissing {
            if board.newest?.size == tree.size, head.size == tree.size { missed(missing) }
        } catch {
            logger.debug("the checkpoint was not renewed", metadata: ["reason": "\(error)"])
        }
    }

    private func answerPublished() async {
        let included = unpublished
        unpublished = []
        let waiting = included.filter { $0.waiter != nil }
        guard !waiting.isEmpty else { return }
        do {
            let receipts = try await log.receipts(of: waiting.map(\.index))
            for (entry, receipt) in zip(waiting, receipts) {
                answer(entry.waiter, .included(index: entry.index, receipt: receipt, isNew: entry.isNew))
            }
        } catch {
            // They are in a published checkpoint; only the proof could not be read.
            logger.error("receipts could not be read", metadata: ["reason": "\(error)"])
            for entry in waiting { answer(entry.waiter, .pending(entry.id)) }
        }
    }
}
