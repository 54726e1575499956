package import Contracts
internal import Foundation

/// Lays down a ledger directory from entries that were made elsewhere: for benchmarks and trials whose logs are too long
/// to be submitted one by one.
///
/// Signatures are not verified: whoever made the entries answers for them, and an audit of the directory looks at them.
/// Not for use by more than one task.
package final class LedgerWriter {
    private let store: LedgerStore
    private let origin: String
    private let ledgerKey: SigningKey
    private var state = ContractState()
    private var tree = CompactRange()
    private var edge = TreeEdge()

    /// Makes keys and database in a directory that does not exist yet.
    package init(at path: String, origin: String, rootKey: SigningKey, ledgerKey: SigningKey) throws {
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        try LedgerDirectory.write(rootKey, "\(path)/\(LedgerDirectory.rootKey)")
        try LedgerDirectory.write(ledgerKey, "\(path)/\(LedgerDirectory.ledgerKey)")
        store = try LedgerStore.create(path: "\(path)/\(LedgerDirectory.database)")
        (self.origin, self.ledgerKey) = (origin, ledgerKey)
    }

    /// Folds and stores the next entries in one transaction.
    ///
    /// - Throws: `StoreError.unusable` when the fold refuses one.
    package func append(_ entries: [(parsed: ParsedEntry, leaf: [UInt8], leafHash: Digest)]) throws {
        var batch = Batch(base: tree.size, head: LogHead())
        for (parsed, leaf, leafHash) in entries {
            var verdicts = SignatureVerdicts()
            var isKeyChange = false
            if case .entry(let entry) = parsed {
                isKeyChange = entry.body.isKeyChange
                for signature in entry.envelope.signatures { verdicts[signature.keyID] = true }
            }
            guard case .outcome(let outcome) = state.apply(parsed, verdicts: verdicts), outcome.code == .ok,
                let id = outcome.id
            else { throw StoreError.unusable("the fold refuses entry \(tree.size)") }
            tree.append(leafHash)
            batch.tileRoots += edge.append(leafHash)
            batch.entries.append(
                LogEntry(
                    index: outcome.index,
                    leaf: leaf,
                    leafHash: leafHash,
                    id: id,
                    code: outcome.code,
                    outcome: outcome.canonical,
                    keyChangeTime: isKeyChange ? state.now : nil
                )
            )
        }
        batch.changes = state.takeChanges()
        batch.head = LogHead(tree: tree, outcomes: state.outcomes)
        try store.writeBlocking { database in try LedgerStore.append(batch, to: database) }
        store.noteWork(of: entries.count)
        try store.foldLogIfDueBlocking()
    }

    /// Signs and keeps the checkpoint of all entries and closes the database.
    package func finish() async throws -> [UInt8] {
        try await store.permitSigning(size: tree.size, root: tree.root)
        let verifierKey = VerifierKey(name: origin, type: VerifierKey.noteType, key: ledgerKey.publicKey)
        let text = Checkpoint.text(origin: origin, size: tree.size, root: tree.root)
        let note = SignedNote.signed(text: text, by: [(ledgerKey, verifierKey)]).bytes
        try await store.publish(checkpoint: note, size: tree.size)
        try store.close()
        return note
    }
}
