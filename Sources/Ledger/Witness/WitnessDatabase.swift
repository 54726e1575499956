internal import Contracts
internal import Foundation
internal import GRDB

/// The store of a witness: one SQLite file, written by one process at a time.
public final class WitnessDatabase: WitnessStore {
    /// Most proofs of forks that are kept; each has at most 256 KiB, and one is enough to convict a ledger.
    public static let mostEvidence = 64

    private static let applicationID = 0x7765_6277
    private static let version = 1
    private static let schema = """
        CREATE TABLE witnessed (
            origin TEXT NOT NULL PRIMARY KEY,
            size INTEGER NOT NULL CHECK (size >= 0),
            root BLOB NOT NULL CHECK (length(root) = 32),
            time INTEGER NOT NULL CHECK (time >= 0),
            note BLOB NOT NULL
        ) STRICT;
        CREATE TABLE evidence (
            number INTEGER NOT NULL PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            file BLOB NOT NULL
        ) STRICT;
        CREATE TRIGGER witnessed_kept BEFORE DELETE ON witnessed
        BEGIN SELECT raise(ABORT, 'what was cosigned is never forgotten'); END;
        CREATE TRIGGER witnessed_grows BEFORE UPDATE ON witnessed
        WHEN NEW.origin <> OLD.origin OR NEW.size < OLD.size OR NEW.time < OLD.time
            OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
        BEGIN SELECT raise(ABORT, 'what was cosigned only grows'); END;
        CREATE TRIGGER evidence_kept BEFORE DELETE ON evidence
        BEGIN SELECT raise(ABORT, 'evidence is kept'); END;
        """

    private let queue: DatabaseQueue

    /// Opens the file, or makes it.
    ///
    /// - Throws: `StoreError` for a file that is something else; errors of the disk as they are.
    public init(path: String) throws {
        var configuration = Configuration()
        configuration.label = "witness"
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA trusted_schema = OFF")
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            // A power cut must not take back a row whose signature is out.
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.write { database in
            let application = try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0
            let tables = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            if application == 0, tables == 0 {
                try database.execute(sql: Self.schema)
                try database.execute(sql: "PRAGMA application_id = \(Self.applicationID)")
                try database.execute(sql: "PRAGMA user_version = \(Self.version)")
                return
            }
            guard application == Self.applicationID else { throw StoreError.unusable("\(path) is no witness's memory") }
            guard try Int.fetchOne(database, sql: "PRAGMA user_version") == Self.version else {
                throw StoreError.unusable("\(path) is of a version that this gw-node does not know")
            }
        }
        let synchronous = try queue.read { try String.fetchOne($0, sql: "PRAGMA synchronous") ?? "" }
        guard synchronous == "2" else { throw StoreError.notDurable(pragma: "synchronous", value: synchronous) }
    }

    public func close() throws { try queue.close() }

    public func update<Result: Sendable>(
        origin: String,
        _ decide: @escaping @Sendable (WitnessedCheckpoint?) -> (row: WitnessedCheckpoint?, result: Result)
    ) async throws -> Result {
        try await queue.write { database in
            let (row, result) = decide(try Self.latest(origin, database))
            guard let row else { return result }
            try database.execute(
                sql: """
                    INSERT INTO witnessed (origin, size, root, time, note) VALUES (?, ?, ?, ?, ?)
                    ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root,
                        time = excluded.time, note = excluded.note
                    """,
                arguments: [
                    origin, try LedgerStore.integer(row.checkpoint.size), LedgerStore.blob(row.checkpoint.root),
                    row.time, Data(row.checkpoint.bytes),
                ]
            )
            return result
        }
        // At this point the row is in the write-ahead log and synced.
    }

    public func latest(origin: String) async throws -> WitnessedCheckpoint? {
        try await queue.read { try Self.latest(origin, $0) }
    }

    public func keep(evidence: [UInt8]) async throws -> Bool {
        try await queue.write { database in
            let digest = LedgerStore.blob(Digest.sha256(evidence))
            if try Bool.fetchOne(database, sql: "SELECT 1 FROM evidence WHERE digest = ?", arguments: [digest]) != nil {
                return true
            }
            guard try Int.fetchOne(database, sql: "SELECT count(*) FROM evidence") ?? 0 < Self.mostEvidence else {
                return false
            }
            try database.execute(
                sql: "INSERT INTO evidence (digest, file) VALUES (?, ?)",
                arguments: [digest, Data(evidence)]
            )
            return true
        }
    }

    public func evidence() async throws -> [[UInt8]] {
        try await queue.read { database in
            try Data.fetchAll(database, sql: "SELECT file FROM evidence ORDER BY number").map { [UInt8]($0) }
        }
    }

    private static func latest(_ origin: String, _ database: Database) throws -> WitnessedCheckpoint? {
        guard
            let row = try Row.fetchOne(
                database,
                sql: "SELECT size, root, time, note FROM witnessed WHERE origin = ?",
                arguments: [origin]
            )
        else { return nil }
        guard let checkpoint = try? Checkpoint(parsing: [UInt8](row["note"] as Data)),
            checkpoint.size == (try LedgerStore.size(row["size"])),
            checkpoint.root == (try LedgerStore.digest(row["root"])), checkpoint.origin == origin
        else { throw StoreError.unusable("what it remembers of \(origin) contradicts itself") }
        return WitnessedCheckpoint(checkpoint: checkpoint, time: row["time"])
    }
}
