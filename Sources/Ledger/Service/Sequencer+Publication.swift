internal import Contracts
internal import Logging

extension Sequencer {
    /// Publishes whatever is committed, until `stop` or until the task is cancelled.
    ///
    /// Runs beside the batches. An error that is final is left for `run` to throw.
    func publish() async {
        for await _ in publications {
            while !Task.isCancelled, !isStopping, fatal == nil, await publishNext() {}
        }
    }

    /// - Returns: false if there is nothing to publish, or nothing can be before something else happens.
    private func publishNext() async -> Bool {
        guard (board.newest?.size ?? 0) < head.size, quorum.isDue(.now), restraint == nil else { return false }
        do {
            try await publishHead()
            publicationPause = limits.retryShortest
            if publicationFailure != nil {
                publicationFailure = nil
                wake.yield()
            }
            return true
        } catch let missing as QuorumMissing {
            // Entries are logged on; they wait for their checkpoint together.
            missed(missing)
            return false
        } catch is LogMovedOn {
            isBehind = true
            wake.yield()
            return false
        } catch is CancellationError {
            return false
        } catch let error as StoreError where error.isFinal {
            end(error)
            fatal = error
            wake.yield()
            return false
        } catch {
            publicationFailure = "the ledger cannot write at the moment"
            logger.error("the store failed, nothing is lost; trying again", metadata: ["reason": "\(error)"])
            answerQueue(.unavailable(reason: "the ledger cannot write at the moment", retryAfterSeconds: 2))
            try? await Task.sleep(for: publicationPause)
            publicationPause = min(publicationPause * 2, limits.retryLongest)
            return true
        }
    }

    /// Signs the committed head, has it cosigned, shows it and answers those who wait for it.
    ///
    /// - Throws: `QuorumMissing` when too few witnesses cosigned; nothing is shown then, and the entries stay committed.
    private func publishHead() async throws {
        // Committed and read back; what is committed meanwhile is for the next checkpoint.
        let tree = head.logHead
        let now = head.state.now
        try await log.permitSigning(size: tree.size, root: tree.root)
        // At this point a second signature of this size can only be over the same root.
        let note = try await publisher.checkpoint(size: tree.size, root: tree.root, now: now)
        try await log.publish(checkpoint: note, size: tree.size)
        // At this point a restart shows a checkpoint of this tree; only now anybody may see it.
        show(PublishedCheckpoint(size: tree.size, note: note))
        await answerPublished(tree.size)
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
            newest.size == tree.size, tree.size > 0, quorum.isDue(.now), restraint == nil,
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

    private func answerPublished(_ size: UInt64) async {
        let included = unpublished.filter { $0.index < size }
        unpublished.removeAll { $0.index < size }
        let waiting = included.compactMap { entry in entry.waiter.map { (entry: entry, waiter: $0) } }
        guard !waiting.isEmpty else { return }
        do {
            let receipts = try await log.receipts(of: waiting.map(\.entry.index))
            for ((entry, waiter), receipt) in zip(waiting, receipts) {
                waiter.answer(.included(index: entry.index, receipt: receipt, isNew: entry.isNew))
            }
        } catch {
            // They are in a published checkpoint; only the proof could not be read.
            logger.error("receipts could not be read", metadata: ["reason": "\(error)"])
            for (entry, waiter) in waiting { waiter.answer(.pending(entry.id)) }
        }
    }
}
