internal import Contracts
internal import Foundation
internal import GRDB
internal import NIOConcurrencyHelpers

/// The database of one ledger: the log, its outcomes, the state, the sign guard and the signed checkpoints.
///
/// One connection writes, a few read beside it (SQLite in WAL mode). Every call runs on the queues of GRDB, never on an
/// event loop. A commit is on the disk when it returns: `synchronous = FULL` is read back after opening, because
/// opening a pool sets another value.
public final class LedgerStore: Sendable {
    let pool: DatabasePool
    /// Folds the write-ahead log beside the connection that writes.
    let folding: DatabaseQueue
    /// What was written since the log was last folded.
    let work = NIOLockedValueBox(0)
    /// The second sign guard, beside the database.
    let guardFile: SignGuardFile

    /// Opens the database of an existing ledger.
    public convenience init(path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { throw StoreError.missing("file \(path)") }
        try self.init(path: path) { pool in
            try pool.read { database in try Schema.check(database) }
            try KeyChainTable.complete(pool)
        }
    }

    /// Makes the database of a new ledger; the file must not exist.
    static func create(path: String) throws -> LedgerStore {
        guard !FileManager.default.fileExists(atPath: path) else { throw StoreError.unusable("\(path) exists already") }
        return try LedgerStore(path: path) { pool in
            try pool.write { database in try Schema.create(database) }
        }
    }

    private init(path: String, _ prepare: (DatabasePool) throws -> Void) throws {
        var configuration = Configuration()
        configuration.label = "ledger"
        configuration.maximumReaderCount = 4
        // Only this process writes; a short wait covers a backup tool that holds the file for a moment.
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA trusted_schema = OFF")
            try database.execute(sql: "PRAGMA cell_size_check = ON")
            // Kibibytes: the inner pages of the large indexes, which the usual 2 MiB do not hold.
            try database.execute(sql: "PRAGMA cache_size = -16384")
        }
        guardFile = try SignGuardFile(
            path: ((path as NSString).deletingLastPathComponent as NSString).appendingPathComponent(SignGuardFile.name)
        )
        let pool = try DatabasePool(path: path, configuration: configuration)
        self.pool = pool
        folding = try DatabaseQueue(path: path, configuration: configuration)
        // The pool has set NORMAL on its writing connection, with which a power cut can take back a commit.
        for writer in [pool, folding] as [any DatabaseWriter] {
            try writer.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA synchronous = FULL")
                // The automatic checkpoint would hide a failed sync.
                try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
            }
        }
        try assertDurable()
        try prepare(pool)
    }

    /// Reads back what durability depends on, from the one connection that writes and the one that folds.
    private func assertDurable() throws {
        let expected = [
            ("synchronous", "2"), ("journal_mode", "wal"), ("foreign_keys", "1"), ("wal_autocheckpoint", "0"),
        ]
        for writer in [pool, folding] as [any DatabaseWriter] {
            try writer.writeWithoutTransaction { database in
                for (pragma, value) in expected {
                    let found = try String.fetchOne(database, sql: "PRAGMA \(pragma)") ?? ""
                    guard found == value else { throw StoreError.notDurable(pragma: pragma, value: found) }
                }
            }
        }
    }

    /// Ends all connections; the write-ahead log is folded into the file.
    public func close() throws {
        guard !isAbandoned else { return }
        try folding.close()
        try foldLog(.truncate)
        try pool.close()
    }

    // MARK: Access for the other files of the store

    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await pool.read(body)
    }

    func write<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            return try await pool.write(body)
        } catch  where WriteAheadLog.isFailedSync(error) {
            throw abandon("a commit could not be synced")
        }
    }

    func readBlocking<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try pool.read(body)
    }

    func writeBlocking<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do {
            return try pool.write(body)
        } catch  where WriteAheadLog.isFailedSync(error) {
            throw abandon("a commit could not be synced")
        }
    }

    // MARK: Values in columns

    static func blob(_ digest: Digest) -> Data { Data(digest.bytes) }

    static func blob(_ digests: [Digest]) -> Data { Data(digests.flatMap(\.bytes)) }

    static func digest(_ blob: Data) throws -> Digest {
        guard let digest = Digest(blob) else { throw StoreError.unusable("a hash has \(blob.count) bytes") }
        return digest
    }

    static func digests(_ blob: Data) throws -> [Digest] {
        guard blob.count % 32 == 0 else { throw StoreError.unusable("a row of hashes has \(blob.count) bytes") }
        let bytes = [UInt8](blob)
        return try stride(from: 0, to: bytes.count, by: 32).map { offset in
            guard let digest = Digest(bytes[offset..<offset + 32]) else { throw StoreError.unusable("a hash is short") }
            return digest
        }
    }

    /// A size or an index as SQLite keeps it.
    static func integer(_ value: UInt64) throws -> Int64 {
        guard let integer = Int64(exactly: value) else { throw StoreError.unusable("\(value) is no size of a log") }
        return integer
    }

    static func size(_ value: Int64) throws -> UInt64 {
        guard let size = UInt64(exactly: value) else { throw StoreError.unusable("\(value) is no size of a log") }
        return size
    }
}
