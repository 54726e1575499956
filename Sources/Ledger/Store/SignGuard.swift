internal import Contracts
internal import GRDB

/// The durable memory of what was signed: a smaller tree, or another tree of the same size, is never signed again.
///
/// The row is written, and synced, before a signature exists. A crash between the two leaves a permission for exactly
/// that tree, which is the committed one, so the restart signs the same bytes.
enum SignGuard {
    static func permit(size: UInt64, root: Digest, in database: Database) throws {
        guard let last = try last(database) else {
            try database.execute(
                sql: "INSERT INTO sign_guard (id, size, root) VALUES (0, ?, ?)",
                arguments: [try LedgerStore.integer(size), LedgerStore.blob(root)]
            )
            return
        }
        guard size > last.size || (size == last.size && root == last.root) else {
            throw StoreError.signingRefused(size: size, lastSize: last.size)
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
