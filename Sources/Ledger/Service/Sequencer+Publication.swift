internal import Contracts
internal import Logging

extension Sequencer {
    /// Signs the committed head, shows it and answers those who wait for it.
    func publishHead() async throws {
        // Read back: what is signed is what the disk holds, not what memory believes.
        let stored = try await log.head()
        guard stored == head.logHead else {
            throw StoreError.headMoved(expected: head.size, found: stored.size)
        }
        try await log.permitSigning(size: stored.size, root: stored.root)
        // At this point a second signature of this size can only be over the same root.
        let note = signer.checkpoint(size: stored.size, root: stored.root)
        try await log.publish(checkpoint: note, size: stored.size)
        // At this point a restart shows the same checkpoint; only now anybody may see it.
        board.publish(PublishedCheckpoint(size: stored.size, note: note))
        await answerPublished()
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
