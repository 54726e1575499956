internal import Contracts

/// Makes batches of the entries that a database lacks, out of leaves that were proven, in log order.
struct Refill {
    private var head: SequencedHead
    private let leaves: VerifiedLeaves
    private let copies: [LedgerRecovery.Copy]

    init(on stored: StoredLedger, leaves: VerifiedLeaves, copies: [LedgerRecovery.Copy]) {
        head = SequencedHead(state: stored.state, tree: stored.head.tree, edge: stored.edge)
        self.leaves = leaves
        self.copies = copies
    }

    /// Whether a key that the log has named by now signed the note.
    func isSigned(_ note: Checkpoint) -> Bool { Self.isSigned(note, by: head.state.ledgerKeys) }

    static func isSigned(_ note: Checkpoint, by keys: [VerifierKey]) -> Bool {
        ((try? note.note.verified(by: keys)) ?? []).isEmpty == false
    }

    /// The rest of the bundle that the log ends in; nil at the end of the leaves.
    mutating func next() async throws -> Batch? {
        let start = head.size
        let number = Int(start / UInt64(TilePath.fullWidth))
        guard number < leaves.bundleCount else { return nil }
        let skip = Int(start % UInt64(TilePath.fullWidth))
        let bundle = try await bundle(number).dropFirst(skip)
        guard !bundle.isEmpty else { return nil }
        var batch = Batch(base: start, head: head.logHead)
        for (leaf, (parsed, verdicts)) in zip(bundle, await EntryFold.prepare(Array(bundle), head.state)) {
            guard case .outcome(let outcome) = head.state.apply(parsed, verdicts: verdicts) else {
                throw RecoveryError.unsupported(head.size)
            }
            var isKeyChange = false
            if outcome.code == .ok, case .entry(let entry) = parsed { isKeyChange = entry.body.isKeyChange }
            let hash = MerkleTree.leafHash(leaf)
            batch.entries.append(
                LogEntry(
                    index: outcome.index,
                    leaf: leaf,
                    leafHash: hash,
                    id: outcome.id ?? .zero,
                    code: outcome.code,
                    outcome: outcome.canonical,
                    keyChangeTime: isKeyChange ? head.state.now : nil
                )
            )
            head.tree.append(hash)
            batch.tileRoots += head.edge.append(hash)
        }
        batch.changes = head.state.takeChanges()
        batch.head = head.logHead
        return batch
    }

    /// The leaves of a bundle from the first copy that has exactly those of the tree.
    private func bundle(_ number: Int) async throws -> [[UInt8]] {
        var reasons: [String] = []
        for copy in copies {
            do {
                if let bundle = try await copy.log.leaves(leaves.path(bundle: number)),
                    leaves.verify(bundle, bundle: number) != nil
                {
                    return bundle
                }
                reasons.append("\(copy.name): \(leaves.path(bundle: number)) is missing or has other entries")
            } catch let error as CancellationError {
                throw error
            } catch {
                reasons.append("\(copy.name): \(LedgerRecovery.reason(error))")
            }
        }
        let tree = SignedTree(size: leaves.checkpoint.size, root: leaves.checkpoint.root)
        throw RecoveryError.notFound(tree, seenAt: "the proven tree", reasons: reasons)
    }
}
