public import Contracts
internal import Foundation
internal import GRDB

/// Why the file of a resumed audit cannot be used.
public struct AuditStoreError: Error, Sendable, CustomStringConvertible {
    /// One sentence: which file, what is wrong, what to do.
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// How far an auditor has folded a log, in one SQLite file, so that the next replay goes on from there.
///
/// It is the auditor's own trust store: position and rows change in one transaction, durable before `save` returns, the row
/// of the position has a check value over its members, and the rows must give its state root. A file that fails its check
/// is an error, never an empty start. Whoever may write the file can write a whole other one, so it belongs to the auditor
/// alone (mode 0600).
public final class AuditStore: Sendable {
    /// "GWA1" in ASCII: SQLite's application_id of a file made here.
    private static let applicationID = 0x4757_4131

    private static let schema = """
        CREATE TABLE position (
            one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, tree BLOB NOT NULL, outcomes BLOB NOT NULL,
            state_root BLOB NOT NULL, keys TEXT NOT NULL, codes TEXT NOT NULL, seal BLOB NOT NULL
        ) STRICT;
        CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
        """

    private let path: String
    private let ledgerID: Identifier
    private let queue: DatabaseQueue

    /// Opens the file, or makes it.
    public init(path: String, ledgerID: Identifier) throws(AuditStoreError) {
        self.path = path
        self.ledgerID = ledgerID
        if !FileManager.default.fileExists(atPath: path) {
            // SQLite takes an empty file for an empty database.
            _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        do {
            var configuration = Configuration()
            configuration.label = "audit state"
            configuration.busyMode = .timeout(2)
            configuration.prepareDatabase { database in
                // Kibibytes. A step changes most pages of a large file; whenever the cache is full of them, SQLite syncs its
                // journal before it writes one.
                try database.execute(sql: "PRAGMA cache_size = -65536")
            }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.write { database in
                guard try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") == 0 else { return }
                try database.execute(sql: Self.schema)
                try database.execute(sql: "PRAGMA application_id = \(Self.applicationID)")
            }
            guard try queue.read({ try Int.fetchOne($0, sql: "PRAGMA application_id") }) == Self.applicationID else {
                throw AuditStoreError("\(path) is a database of something else; give another file")
            }
        } catch let error as AuditStoreError {
            throw error
        } catch {
            throw Self.unusable(path)
        }
    }

    // MARK: Reading

    /// The replay as it was saved; nil when nothing was.
    func load() throws(AuditStoreError) -> LogReplay? {
        do {
            return try queue.read { database in
                guard let row = try Row.fetchOne(database, sql: "SELECT * FROM position") else {
                    guard try Int.fetchOne(database, sql: "SELECT count(*) FROM state") == 0 else {
                        throw Self.unusable(path)
                    }
                    return nil
                }
                return try replay(row, database)
            }
        } catch {
            throw Self.unusable(path)
        }
    }

    private func replay(_ row: Row, _ database: Database) throws -> LogReplay {
        let position = Position(
            ledgerID: ledgerID,
            size: UInt64(try row.decode(Int64.self, forColumn: "size").magnitude),
            tree: [UInt8](try row.decode(Data.self, forColumn: "tree")),
            outcomes: [UInt8](try row.decode(Data.self, forColumn: "outcomes")),
            stateRoot: [UInt8](try row.decode(Data.self, forColumn: "state_root")),
            keys: try row.decode(forColumn: "keys"),
            codes: try row.decode(forColumn: "codes")
        )
        guard position.seal.bytes.elementsEqual(try row.decode(Data.self, forColumn: "seal")),
            let tree = CompactRange(size: position.size, hashes: TrustRow.digests(position.tree)),
            let outcomes = CompactRange(size: position.size, hashes: TrustRow.digests(position.outcomes)),
            let codes = try JSONValue(document: Array(position.codes.utf8)).asObject
        else { throw Self.unusable(path) }
        var state = try StoredState.load(database, size: position.size, outcomes: outcomes, isHashed: true)
        guard state.stateRoot().bytes.elementsEqual(position.stateRoot) else { throw Self.unusable(path) }
        var counts: [Code: UInt64] = [:]
        for (name, count) in codes.members {
            guard let code = Code(rawValue: name), let count = count.asInteger else { throw Self.unusable(path) }
            counts[code] = UInt64(count.magnitude)
        }
        let keys = position.keys.split(separator: "\n").compactMap { VerifierKey(String($0)) }
        return LogReplay(resuming: state, tree: tree, keyChain: KeyChain(keys), codes: counts)
    }

    // MARK: Writing

    /// A position, and the rows that changed on the way to it.
    struct Step: Sendable {
        fileprivate let position: Position
        fileprivate let changes: ChangedRows
    }

    /// What `save` has to write so that the replay goes on from where it is.
    func step(_ replay: inout LogReplay) async -> Step {
        let hashing = await replay.hashOnAllCores()
        let position = Position(
            ledgerID: ledgerID,
            size: replay.state.size,
            tree: replay.tree.hashes.flatMap { Array($0.bytes) },
            outcomes: replay.state.outcomes.hashes.flatMap { Array($0.bytes) },
            stateRoot: Array(replay.stateRoot().bytes),
            keys: replay.keyChain.keys.map(\.description).joined(separator: "\n"),
            codes: String(
                decoding: JSONValue.object(
                    JSONObject(members: replay.codes.map { ($0.rawValue, .integer(Int64($1))) })
                ).canonical,
                as: UTF8.self
            )
        )
        return Step(position: position, changes: replay.takeChangedRows(hashedBy: hashing))
    }

    /// Saves a step, which follows the one before; it is on the disk when this returns.
    func save(_ step: Step) async throws(AuditStoreError) {
        do {
            // A task of its own: one that is cancelled still keeps what it has verified.
            try await Task {
                try await queue.write { database in try self.write(step.position, step.changes, database) }
            }.value
        } catch let error as AuditStoreError {
            throw error
        } catch {
            throw AuditStoreError("\(path) cannot be written: \(error)")
        }
    }

    private func write(_ position: Position, _ changes: ChangedRows, _ database: Database) throws {
        let stored = try Int64.fetchOne(database, sql: "SELECT size FROM position")
        guard stored ?? 0 <= Int64(position.size) else {
            throw AuditStoreError("\(path) went further in the meantime; another audit uses it")
        }
        let set = try database.cachedStatement(sql: "INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)")
        let remove = try database.cachedStatement(sql: "DELETE FROM state WHERE key = ?")
        for change in changes {
            if let value = change.value {
                try set.execute(arguments: [change.key, Data(value)])
            } else {
                try remove.execute(arguments: [change.key])
            }
        }
        try database.execute(
            sql: "INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                Int64(position.size), Data(position.tree), Data(position.outcomes), Data(position.stateRoot),
                position.keys, position.codes, Data(position.seal.bytes),
            ]
        )
    }

    private static func unusable(_ path: String) -> AuditStoreError {
        AuditStoreError(
            "\(path) is damaged, or is of another ledger; move it away to verify the log from its first entry"
        )
    }
}

/// The row of a position, as its check value covers it.
private struct Position: Sendable {
    var ledgerID: Identifier
    var size: UInt64
    var tree: [UInt8]
    var outcomes: [UInt8]
    var stateRoot: [UInt8]
    var keys: String
    var codes: String

    /// SHA-256 over every member, each with its length.
    var seal: Digest {
        var bytes = Array("webgw audit position 1".utf8)
        for field in [
            Array(ledgerID.bytes), Array(String(size).utf8), tree, outcomes, stateRoot, Array(keys.utf8),
            Array(codes.utf8),
        ] {
            bytes += Array("\n\(field.count) ".utf8) + field
        }
        return Digest.sha256(bytes)
    }
}
