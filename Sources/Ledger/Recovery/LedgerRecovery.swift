public import Contracts

/// Fills the database of a ledger up to the largest tree that was signed, from copies of the log (protocol.md 11).
///
/// For a database that was put back from an older copy. The target is the largest tree that the sign guards, the
/// witnesses of the directory's list or the copies themselves show under the ledger's signature. All leaves up to it are proven first to give
/// its root, with what the database holds as their beginning; only then anything is folded and committed. The server
/// may run meanwhile, as long as it is held back from signing.
public struct LedgerRecovery: Sendable {
    /// A copy of the log.
    public struct Copy: Sendable {
        public var name: String
        public var log: any LogSource

        public init(name: String, log: any LogSource) {
            self.name = name
            self.log = log
        }
    }

    public struct Result: Sendable, Hashable {
        /// Entries before.
        public var from: UInt64
        /// Entries now.
        public var to: UInt64
        public var root: Digest
        /// Who had seen the largest tree; nil when nobody had seen any.
        public var seenAt: String?
    }

    /// A tree that the database must become, with the note that says so where there is one.
    struct Target: Sendable {
        var tree: SignedTree
        var place: String
        /// Nil for a sign guard, which is the ledger's own memory.
        var note: Checkpoint?
    }

    let store: LedgerStore
    let copies: [Copy]
    let progress: @Sendable (UInt64, UInt64) -> Void

    /// Recovers the ledger in a directory.
    ///
    /// - Parameters:
    ///   - progress: entries that are there, and that will be.
    /// - Throws: `RecoveryError`, `LedgerDirectoryError.written` while a server may sign, `StoreError`.
    public static func run(
        directory path: String,
        copies: [Copy],
        progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws -> Result {
        guard LedgerDirectory.holdsLedger(path) else { throw LedgerDirectoryError.missing(path) }
        guard let writer = try await LedgerDirectory.takeWriterLock(path) else {
            throw LedgerDirectoryError.written(path)
        }
        defer { writer.release() }
        // Without a server nobody has made sure of the write-ahead log yet.
        if let server = try DirectoryLock(path: "\(path)/\(LedgerDirectory.lock)") {
            defer { server.release() }
            try WriteAheadLog.rewrite(database: "\(path)/\(LedgerDirectory.database)")
        }
        let store = try LedgerStore(path: "\(path)/\(LedgerDirectory.database)")
        let recovery = LedgerRecovery(store: store, copies: copies, progress: progress)
        do {
            let result = try await recovery.run(try WitnessRoster(directory: path).onlookers)
            try store.close()
            return result
        } catch {
            try? store.close()
            throw error
        }
    }

    private func run(_ witnesses: [Onlooker]) async throws -> Result {
        let stored = try store.restore()
        let head = SignedTree(size: stored.head.size, root: stored.head.root)
        let targets = try await targets(stored, witnesses)
        guard let target = targets.max(by: { $0.tree.size < $1.tree.size }) else {
            return Result(from: head.size, to: head.size, root: head.root, seenAt: nil)
        }
        try await compare(targets, with: head)
        guard target.tree.size > head.size else {
            return Result(from: head.size, to: head.size, root: head.root, seenAt: target.place)
        }
        let leaves = try await leaves(of: target, targets, after: head)
        var refill = Refill(on: stored, leaves: leaves, copies: copies)
        if let note = target.note, !refill.isSigned(note) {
            // Keys may have changed among the missing entries: they are folded once only to know the keys.
            var trial = refill
            while try await trial.next() != nil {}
            guard trial.isSigned(note) else { throw RecoveryError.unsigned(target.tree, seenAt: target.place) }
        }
        while let batch = try await refill.next() {
            try await store.commit(batch)
            // At this point the batch is durable: a recovery that is interrupted goes on behind it.
            progress(batch.head.size, target.tree.size)
        }
        try await store.permitSigning(size: target.tree.size, root: target.tree.root)
        return Result(from: head.size, to: target.tree.size, root: target.tree.root, seenAt: target.place)
    }

    // MARK: What was signed

    private func targets(_ stored: StoredLedger, _ witnesses: [Onlooker]) async throws -> [Target] {
        var targets = try await store.signedTrees().map { Target(tree: $0.tree, place: $0.place) }
        let reader = SightingReader(origin: stored.state.meta?.origin ?? "", ledgerKeys: stored.state.ledgerKeys)
        for (witness, sighting) in await reader.ask(witnesses).sorted(by: { "\($0.key)" < "\($1.key)" }) {
            if case .signed(let tree) = sighting { targets.append(Target(tree: tree, place: "\(witness)")) }
        }
        for copy in copies {
            guard let bytes = try? await copy.log.checkpoint(), let note = try? Checkpoint(parsing: bytes),
                note.origin.utf8.elementsEqual((stored.state.meta?.origin ?? "").utf8)
            else { continue }
            let tree = SignedTree(size: note.size, root: note.root)
            // One signed by keys that are not known here counts only if it leads on.
            guard tree.size > stored.head.size || Refill.isSigned(note, by: stored.state.ledgerKeys) else { continue }
            targets.append(Target(tree: tree, place: copy.name, note: note))
        }
        return targets
    }

    /// Refuses trees within the database's log that have another root.
    private func compare(_ targets: [Target], with head: SignedTree) async throws {
        for target in targets where target.tree.size <= head.size {
            let size = target.tree.size
            let root = try await store.read { try LedgerStore.root(at: size, in: $0) }
            guard root == target.tree.root else {
                throw RecoveryError.otherWay(target.tree, seenAt: target.place)
            }
        }
    }

    /// Proves the leaves of the target from the tiles of the first copy that has them.
    private func leaves(
        of target: Target,
        _ targets: [Target],
        after head: SignedTree
    ) async throws -> VerifiedLeaves {
        let checkpoint = target.note ?? Checkpoint(unsigned: target.tree)
        let sizes = Set(targets.map(\.tree.size)).union([head.size])
        var reasons: [String] = []
        for copy in copies {
            let leaves: VerifiedLeaves
            do {
                leaves = try await TileAudit.run(checkpoint, from: copy.log, rootSizes: sizes)
            } catch let error as CancellationError {
                throw error
            } catch {
                reasons.append("\(copy.name): \(Self.reason(error))")
                continue
            }
            guard leaves.roots[head.size] == head.root else {
                throw RecoveryError.otherWay(target.tree, seenAt: target.place)
            }
            for other in targets where other.tree.size > head.size && leaves.roots[other.tree.size] != other.tree.root {
                throw RecoveryError.otherWay(other.tree, seenAt: other.place)
            }
            return leaves
        }
        throw RecoveryError.notFound(target.tree, seenAt: target.place, reasons: reasons)
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case let failure as AuditFailure: failure.message
        case let failure as LedgerClientError: failure.message
        default: "\(error)"
        }
    }
}

extension Checkpoint {
    /// A tree that no note is at hand for; nobody signed these bytes.
    fileprivate init(unsigned tree: SignedTree) {
        let text = Checkpoint.text(origin: "-", size: tree.size, root: tree.root)
        guard let checkpoint = Checkpoint(note: SignedNote(text: text, signatures: [])) else {
            preconditionFailure("the text is that of a checkpoint")
        }
        self = checkpoint
    }
}
