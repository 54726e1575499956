internal import Contracts
internal import GRDB

/// The durable memory of what was signed: a smaller tree, or another tree of the same size, is never signed again.
///
/// A record of the tree is durable in the guard file before a signature exists; the row in the database follows, in the
/// transaction that keeps the checkpoint. A crash between them leaves a permission for exactly that tree, which is the
/// committed one, so the restart signs the same bytes.
enum SignGuard {
    /// - Throws: `StoreError.signingRefused` if the row forbids the tree.
    static func check(size: UInt64, root: Digest, in database: Database) throws {
        guard let last = try last(database) else { return }
        guard size > last.size || (size == last.size && root == last.root) else {
            throw StoreError.signingRefused(size: size, lastSize: last.size)
        }
    }

    static func permit(size: UInt64, root: Digest, in database: Database) throws {
        try check(size: size, root: root, in: database)
        guard try last(database) != nil else {
            try database.execute(
                sql: "INSERT INTO sign_guard (id, size, root) VALUES (0, ?, ?)",
                arguments: [try LedgerStore.integer(size), LedgerStore.blob(root)]
            )
            return
        }
        // An equal row is written too: a republication goes through the same step as a first signature.
        try database.execute(
            sql: "UPDATE sign_guard SET size = ?, root = ?",
            arguments: [try LedgerStore.integer(size), LedgerStore.blob(root)]
        )
    }

    static func last(_ database: Database) throws -> (size: UInt64, root: Digest)? {
        guard let row = try Row.fetchOne(database, sql: "SELECT size, root FROM sign_guard") else { return nil }
        return (try LedgerStore.size(row["size"]), try LedgerStore.digest(row["root"]))
    }
}
