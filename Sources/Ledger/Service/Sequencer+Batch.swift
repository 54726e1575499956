internal import Contracts
internal import Logging

/// A head of the log with everything that the next batch is made on.
struct SequencedHead: Sendable {
    var state: ContractState
    var tree: CompactRange
    var edge: TreeEdge

    var size: UInt64 { tree.size }
    var logHead: LogHead { LogHead(tree: tree, outcomes: state.outcomes) }
}

/// A batch in the making, on a copy of the head.
struct Draft {
    enum Verdict {
        case accepted(UInt64)
        case refused(Rejection)
        case stopped
    }

    var head: SequencedHead
    var batch: Batch

    init(on head: SequencedHead) {
        self.head = head
        batch = Batch(base: head.size, head: head.logHead)
    }

    /// Folds an entry; anything but `ok` leaves the draft as it was.
    mutating func fold(
        _ entry: Entry,
        _ parsed: ParsedEntry,
        _ verdicts: SignatureVerdicts,
        leaf: [UInt8],
        admits: (ContractState) -> Bool
    ) -> Verdict {
        // Only such an entry may have to be taken back, and a kept copy makes every later step copy what it touches.
        let before = entry.body.decidesWhoSigns ? head.state : nil
        guard case .outcome(let outcome) = head.state.admit(parsed, verdicts: verdicts) else { return .stopped }
        guard outcome.code == .ok else {
            var rejection = Rejection(outcome.code, id: entry.id)
            if outcome.code == .seqReplay || outcome.code == .seqGap, let account = entry.account {
                rejection.expectedSequence = head.state.lane(account: account, key: entry.signer) + 1
            }
            return .refused(rejection)
        }
        if let before, !admits(head.state) {
            head.state = before
            return .stopped
        }
        let hash = MerkleTree.leafHash(leaf)
        batch.entries.append(
            LogEntry(
                index: outcome.index,
                leaf: leaf,
                leafHash: hash,
                id: entry.id,
                code: outcome.code,
                outcome: outcome.canonical,
                keyChangeTime: entry.body.isKeyChange ? head.state.now : nil
            )
        )
        head.tree.append(hash)
        batch.tileRoots += head.edge.append(hash)
        return .accepted(outcome.index)
    }

    mutating func finish() {
        batch.changes = head.state.takeChanges()
        batch.head = head.logHead
    }
}

extension Sequencer {
    /// Times of the ticks that go in front of the next batch.
    func dueTicks() -> [Timestamp] {
        guard let meta = head.state.meta, !head.state.isStopped else { return [] }
        return TickSchedule.dueTicks(now: head.state.now, clock: clock(), minimum: meta.limits.tickMinimum)
    }

    /// Folds, answers what is refused, commits the rest.
    func sequence(_ taken: [QueuedEntry], ticks: [Timestamp]) async throws {
        var draft = Draft(on: head)
        var added: [Unanswered] = []
        for time in ticks {
            guard let index = tick(time, in: &draft) else { break }
            let id = draft.batch.entries[draft.batch.entries.count - 1].id
            added.append(Unanswered(index: index, isNew: true, id: id, waiter: nil))
        }
        var refused: [(QueuedEntry, Rejection)] = []
        var inadmissible: [(QueuedEntry, String)] = []
        for submission in taken {
            let verdict = draft.fold(
                submission.entry,
                submission.parsed,
                submission.verdicts,
                leaf: submission.leaf,
                admits: publisher.signer.canSign
            )
            switch verdict {
            case .accepted(let index):
                added.append(
                    Unanswered(index: index, isNew: true, id: submission.entry.id, waiter: submission.waiter)
                )
            case .refused(let rejection):
                // The same entry twice in one batch: the second waits for the receipt of the first.
                if let twin = added.first(where: { $0.id == submission.entry.id }) {
                    added.append(
                        Unanswered(index: twin.index, isNew: false, id: twin.id, waiter: submission.waiter)
                    )
                } else {
                    refused.append((submission, rejection))
                }
            case .stopped:
                let reason =
                    draft.head.state.isStopped
                    ? "the ledger has reached a version of the rules that this server does not know"
                    : "this server cannot sign for the keys or the witness policy that the entry would put in force"
                inadmissible.append((submission, reason))
            }
        }
        draft.finish()
        do {
            if draft.batch.entries.isEmpty {
                try await log.confirm(head.logHead)
            } else {
                try await log.commit(draft.batch)
            }
            // At this point the entries are in the log: a crash from here on loses no answer that was given.
            await answer(refused, inadmissible)
        } catch let error as LogMovedOn {
            // All verdicts were given on a head that is not the newest.
            queue.putBack(taken)
            throw error
        } catch  where draft.batch.entries.isEmpty {
            queue.putBack(taken)
            throw error
        } catch StoreError.diskUncertain(let what) {
            // Whether the entries are in the log only the next start can find out; whoever waits is told that they are
            // pending.
            await answer(refused, inadmissible)
            throw StoreError.diskUncertain(what)
        } catch {
            await answer(refused, inadmissible)
            logger.error("a commit failed", metadata: ["reason": "\(error)"])
            doubt = draft.head
            doubtful = added
            try await resolveDoubt()
            return
        }
        guard !draft.batch.entries.isEmpty else { return }
        committed = (draft.head, added)
        try await readBack()
    }

    /// Goes on from the head that was committed, once the disk shows it: what is signed is what the disk holds, not what
    /// memory believes. While it cannot be read, who waits goes on waiting.
    func readBack() async throws {
        guard let (committedHead, added) = committed else { return }
        let stored = try await log.head()
        guard stored == committedHead.logHead else {
            throw StoreError.headMoved(expected: committedHead.size, found: stored.size)
        }
        committed = nil
        head = committedHead
        unpublished += added
        announce.yield()
    }

    /// Makes and folds a tick.
    ///
    /// - Returns: its index, nil if the fold refuses it.
    private func tick(_ time: Timestamp, in draft: inout Draft) -> UInt64? {
        guard let envelope = publisher.signer.tick(time, on: draft.head.state) else { return nil }
        let parsed = ParsedEntry(envelope: envelope)
        guard case .entry(let entry) = parsed else { return nil }
        switch draft.fold(entry, parsed, SignatureVerdicts(), leaf: envelope.leaf, admits: { _ in true }) {
        case .accepted(let index):
            return index
        case .refused(let rejection):
            logger.error("the fold refuses this server's tick", metadata: ["code": "\(rejection.code.rawValue)"])
        case .stopped:
            break
        }
        return nil
    }

    private func answer(_ refused: [(QueuedEntry, Rejection)], _ inadmissible: [(QueuedEntry, String)]) async {
        for (submission, reason) in inadmissible {
            submission.waiter.answer(.unavailable(reason: reason, retryAfterSeconds: 3600))
        }
        await answerRefused(refused)
    }

    /// Answers entries that were not logged now; one that was logged before gets its receipt.
    private func answerRefused(_ refused: [(QueuedEntry, Rejection)]) async {
        for (submission, rejection) in refused {
            do {
                if let index = try await log.index(of: submission.entry.id) {
                    guard index < board.newest?.size ?? 0 else {
                        // Logged and not published yet: it waits with the one that came first.
                        unpublished.append(
                            Unanswered(index: index, isNew: false, id: submission.entry.id, waiter: submission.waiter)
                        )
                        continue
                    }
                    let receipt = try await log.receipts(of: [index])[0]
                    submission.waiter.answer(.included(index: index, receipt: receipt, isNew: false))
                } else {
                    refuse(submission, rejection)
                }
            } catch {
                submission.waiter.answer(
                    .unavailable(reason: "the ledger cannot read now", retryAfterSeconds: 2)
                )
            }
        }
    }

    /// Finds out whether a failed commit took effect, and goes on from what is committed.
    ///
    /// While the store does not even say that, the entries' fate is not known: they are answered 503, and submitting
    /// them again gives the receipt if they were logged.
    func resolveDoubt() async throws {
        guard let candidate = doubt else { return }
        let stored: LogHead
        do {
            stored = try await log.head()
        } catch {
            abandon("the ledger cannot write at the moment")
            throw error
        }
        if stored == candidate.logHead {
            doubt = nil
            head = candidate
            unpublished += doubtful
            doubtful = []
            announce.yield()
        } else if stored == head.logHead {
            doubt = nil
            abandon("the ledger cannot write at the moment")
            throw CommitRefused()
        } else {
            abandon("the ledger stops")
            throw StoreError.headMoved(expected: candidate.size, found: stored.size)
        }
    }

    private func abandon(_ reason: String) {
        for waiting in doubtful { waiting.waiter?.answer(.unavailable(reason: reason, retryAfterSeconds: 2)) }
        doubtful = []
    }
}

/// A commit did not take effect; its entries are not in the log.
private struct CommitRefused: Error {}

extension StoreError {
    /// Whether going on could harm the log.
    var isFinal: Bool {
        switch self {
        case .unusable, .headMoved, .signingRefused, .notDurable, .diskUncertain, .contradiction: true
        case .missing: false
        }
    }
}

extension EntryBody {
    /// Whether the entry can change which signatures a checkpoint needs.
    fileprivate var decidesWhoSigns: Bool {
        switch self {
        case .genesis, .ledgerKeys, .policySet: true
        default: false
        }
    }
}
