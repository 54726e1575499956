public import Contracts
internal import Foundation
internal import GRDB

extension LedgerStore: CommitLog {
    public func head() async throws -> LogHead {
        try await read { database in try Self.head(database) }
    }

    public func commit(_ batch: Batch) async throws {
        try await write { database in try Self.append(batch, to: database) }
        // At this point the batch is in the write-ahead log and synced: a restart finds it, signed or not.
        noteWork(of: batch.entries.count)
    }

    public func permitSigning(size: UInt64, root: Digest) async throws {
        // The file is what is durable before the signature; the row follows with the checkpoint (`publish`). On a queue of
        // readers, because the one connection that writes may be committing the next batch.
        try await read { [guardFile] database in
            try SignGuard.check(size: size, root: root, in: database)
            try guardFile.permit(SignedTree(size: size, root: root))
        }
        // At this point no process that uses this directory will sign another tree of this size, or a smaller one.
    }

    public func publish(checkpoint: [UInt8], size: UInt64) async throws {
        try await write { database in
            guard let root = (try? Checkpoint(parsing: checkpoint))?.root else {
                throw StoreError.unusable("a checkpoint to keep is malformed")
            }
            try SignGuard.permit(size: size, root: root, in: database)
            let number = try Self.integer(size)
            let stored = try Data.fetchOne(
                database,
                sql: "SELECT note FROM checkpoint WHERE size = ?",
                arguments: [number]
            )
            if let stored {
                // The attempt before this one was stored although it failed; its cosignatures may have other times.
                guard let kept = try? Checkpoint(parsing: [UInt8](stored)),
                    let new = try? Checkpoint(parsing: checkpoint), kept.root == new.root
                else { throw StoreError.unusable("another checkpoint of size \(size) is kept already") }
                return
            }
            try database.execute(
                sql: "INSERT INTO checkpoint (size, note) VALUES (?, ?)",
                arguments: [number, Data(checkpoint)]
            )
        }
        noteWork(of: 0)
        try await foldLogIfDue()
    }

    public func index(of id: Identifier) async throws -> UInt64? {
        try await read { database in
            try Int64.fetchOne(
                database,
                sql: "SELECT idx FROM entry WHERE txid = ? AND code = 'ok'",
                arguments: [Self.blob(id)]
            ).map(Self.size)
        }
    }

    // MARK: In the caller's transaction

    static func head(_ database: Database) throws -> LogHead {
        guard let row = try Row.fetchOne(database, sql: "SELECT size, root, tree_range, outcome_range FROM head") else {
            throw StoreError.unusable("it has no head")
        }
        let size = try Self.size(row["size"])
        guard
            let tree = CompactRange(size: size, hashes: try digests(row["tree_range"])),
            let outcomes = CompactRange(size: size, hashes: try digests(row["outcome_range"]))
        else { throw StoreError.unusable("the head of size \(size) has another number of hashes") }
        guard tree.root == (try digest(row["root"])) else {
            throw StoreError.unusable("the root of the head is not the root of its hashes")
        }
        return LogHead(tree: tree, outcomes: outcomes)
    }

    static func append(_ batch: Batch, to database: Database) throws {
        let found = try head(database).size
        guard found == batch.base else { throw StoreError.headMoved(expected: batch.base, found: found) }
        guard batch.head.size == batch.base + UInt64(batch.entries.count) else {
            throw StoreError.unusable("a batch of \(batch.entries.count) entries ends at \(batch.head.size)")
        }
        let entry = try database.cachedStatement(
            sql: "INSERT INTO entry (idx, leaf, leaf_hash, txid, code) VALUES (?, ?, ?, ?, ?)"
        )
        let outcome = try database.cachedStatement(sql: "INSERT INTO outcome (idx, canonical) VALUES (?, ?)")
        for row in batch.entries {
            let index = try integer(row.index)
            try entry.execute(
                arguments: [index, Data(row.leaf), blob(row.leafHash), blob(row.id), row.code.rawValue]
            )
            try outcome.execute(arguments: [index, Data(row.outcome)])
            if let time = row.keyChangeTime { try KeyChainTable.append(row.index, at: time, to: database) }
        }
        let tileRoot = try database.cachedStatement(sql: "INSERT INTO tile_root (level, idx, hash) VALUES (?, ?, ?)")
        for row in batch.tileRoots {
            try tileRoot.execute(arguments: [row.level, try integer(row.index), blob(row.hash)])
        }
        let set = try database.cachedStatement(
            sql: "INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )
        let remove = try database.cachedStatement(sql: "DELETE FROM state WHERE key = ?")
        for change in batch.changes {
            if let value = change.value {
                try set.execute(arguments: [change.key, Data(value)])
            } else {
                try remove.execute(arguments: [change.key])
            }
        }
        try database.execute(
            sql: "UPDATE head SET size = ?, root = ?, tree_range = ?, outcome_range = ?",
            arguments: [
                try integer(batch.head.size), blob(batch.head.root), blob(batch.head.tree.hashes),
                blob(batch.head.outcomes.hashes),
            ]
        )
    }
}
