internal import Contracts
internal import Foundation
internal import GRDB

/// What an operator decided about a fork (`gw-node ledger resolve`).
struct ForkResolution: Sendable, Hashable {
    /// Size up to which the trusted history was declared the true one.
    var size: UInt64
    var root: Digest
    var time: Timestamp
}

/// What the store keeps beside the trusted position: keys of the past, roots at passed sizes, alarms, and the record of
/// what operators decided. Tables that are missing are made, so a store of an earlier version goes on.
extension TrustStore {
    struct Memory: Sendable {
        /// Every ledger key the log ever had.
        var keys: [VerifierKey] = []
        var alarms: [LedgerAlarm.Code: String] = [:]
        var resolution: ForkResolution?
        /// The snapshot that this store started from.
        var origin: SnapshotOrigin?
    }

    /// Passed sizes that are kept.
    private static let passedSizes = 4096

    private static let memorySchema = """
        CREATE TABLE IF NOT EXISTS ledger_key (number INTEGER PRIMARY KEY, vkey TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE IF NOT EXISTS passed (
            size INTEGER PRIMARY KEY, root BLOB NOT NULL, outcome_root BLOB NOT NULL, state_root BLOB NOT NULL
        ) STRICT;
        CREATE TABLE IF NOT EXISTS alarm (code TEXT PRIMARY KEY, message TEXT NOT NULL, time INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS resolution (
            number INTEGER PRIMARY KEY, time INTEGER NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
            checkpoint BLOB NOT NULL, halted_reason TEXT NOT NULL, halted_message TEXT NOT NULL
        ) STRICT;
        """

    func prepareMemory() throws {
        try queue.write { try $0.execute(sql: Self.memorySchema + Self.originSchema) }
    }

    func memory() throws(TrustStoreError) -> Memory {
        do {
            return try queue.read { database in
                var memory = Memory()
                let keys = try String.fetchAll(database, sql: "SELECT vkey FROM ledger_key ORDER BY number")
                memory.keys = keys.compactMap { VerifierKey($0, type: VerifierKey.noteType) }
                for row in try Row.fetchAll(database, sql: "SELECT code, message FROM alarm") {
                    let code: String = try row.decode(forColumn: "code")
                    if let code = LedgerAlarm.Code(rawValue: code) {
                        memory.alarms[code] = try row.decode(forColumn: "message")
                    }
                }
                let last = "SELECT time, size, root FROM resolution ORDER BY number DESC LIMIT 1"
                if let row = try Row.fetchOne(database, sql: last),
                    let root = Digest(Array(try row.decode(Data.self, forColumn: "root"))),
                    let size = UInt64(exactly: try row.decode(Int64.self, forColumn: "size"))
                {
                    memory.resolution = ForkResolution(size: size, root: root, time: try row.decode(forColumn: "time"))
                }
                memory.origin = try Self.origin(database)
                return memory
            }
        } catch {
            throw Self.corrupt(directory.path, Self.describe(error))
        }
    }

    /// Part of the transaction of a step.
    static func remember(_ keys: [VerifierKey], _ passed: [PassedSize], _ database: Database) throws {
        for key in keys {
            try database.execute(sql: "INSERT OR IGNORE INTO ledger_key (vkey) VALUES (?)", arguments: ["\(key)"])
        }
        for size in passed {
            try database.execute(
                sql: "INSERT OR REPLACE INTO passed (size, root, outcome_root, state_root) VALUES (?, ?, ?, ?)",
                arguments: [
                    Int64(size.size), Data(size.root.bytes), Data(size.outcomeRoot.bytes), Data(size.stateRoot.bytes),
                ]
            )
        }
        try database.execute(
            sql: "DELETE FROM passed WHERE size <= (SELECT size FROM passed ORDER BY size DESC LIMIT 1 OFFSET ?)",
            arguments: [passedSizes]
        )
    }

    /// What was computed at a size; nil if the store does not know any more.
    func passed(_ size: UInt64) async throws -> PassedSize? {
        try await queue.read { database in
            let sql = "SELECT root, outcome_root, state_root FROM passed WHERE size = ?"
            guard let row = try Row.fetchOne(database, sql: sql, arguments: [Int64(clamping: size)]),
                let root = Digest(Array(try row.decode(Data.self, forColumn: "root"))),
                let outcomeRoot = Digest(Array(try row.decode(Data.self, forColumn: "outcome_root"))),
                let stateRoot = Digest(Array(try row.decode(Data.self, forColumn: "state_root")))
            else { return nil }
            return PassedSize(size: size, root: root, outcomeRoot: outcomeRoot, stateRoot: stateRoot)
        }
    }

    /// Root over the outcomes of the first entries; nil when a snapshot stands for some of them.
    func outcomeRoot(size: UInt64) async throws -> Digest? {
        try await queue.read { database in
            var outcomes = CompactRange()
            let sql = "SELECT idx, code, id FROM outcome WHERE idx < ? ORDER BY idx"
            let cursor = try Row.fetchCursor(database, sql: sql, arguments: [Int64(clamping: size)])
            while let row = try cursor.next() {
                let id = try row.decode(Data?.self, forColumn: "id")
                guard UInt64(exactly: try row.decode(Int64.self, forColumn: "idx")) == outcomes.size,
                    let code = Code(rawValue: try row.decode(forColumn: "code"))
                else { return nil }
                let outcome = Outcome(index: outcomes.size, code: code, id: id.flatMap { Identifier(Array($0)) })
                outcomes.append(MerkleTree.leafHash(outcome.canonical))
            }
            return outcomes.size == size ? outcomes.root : nil
        }
    }

    /// Keeps an alarm, or forgets it with nil.
    func keep(alarm code: LedgerAlarm.Code, _ message: String?, at time: Timestamp) async throws {
        try await queue.write { database in
            if let message {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO alarm (code, message, time) VALUES (?, ?, ?)",
                    arguments: [code.rawValue, message, time]
                )
            } else {
                try database.execute(sql: "DELETE FROM alarm WHERE code = ?", arguments: [code.rawValue])
            }
        }
    }

    /// Records what an operator decided and lifts the halt, in one transaction.
    func resolve(_ position: TrustedPosition, by checkpoint: Checkpoint, at time: Timestamp) async throws {
        var lifted = position
        lifted.halt = nil
        try await queue.write { [lifted] database in
            try TrustRow.update(lifted, from: position.size, database)
            try database.execute(
                sql: "INSERT INTO resolution (time, size, root, checkpoint, halted_reason, halted_message) "
                    + "VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    time, Int64(checkpoint.size), Data(checkpoint.root.bytes), Data(checkpoint.bytes),
                    position.halt?.result.rawValue ?? "", position.halt?.message ?? "",
                ]
            )
        }
    }

    /// Takes over everything that the complete store in another directory holds, in one transaction, after a copy of what
    /// was here got a name of its own.
    ///
    /// - Parameter draft: the directory of the other store, which is closed.
    /// - Returns: the name of the copy.
    func takeOver(_ draft: String, insteadOf root: Digest) async throws -> String {
        let name = "trust-false-\(root.hex.prefix(16)).sqlite"
        let copy = "\(directory.path)/\(name)"
        try? FileManager.default.removeItem(atPath: copy)
        try await queue.writeWithoutTransaction { database in
            try database.execute(sql: "VACUUM INTO ?", arguments: [copy])
            try database.execute(sql: "ATTACH DATABASE ? AS draft", arguments: ["\(draft)/\(Self.name)"])
            try database.inTransaction {
                for table in ["trust", "state", "outcome", "leaf", "ledger_key", "passed", "alarm", "origin"] {
                    try database.execute(sql: "DELETE FROM main.\(table)")
                    try database.execute(sql: "INSERT INTO main.\(table) SELECT * FROM draft.\(table)")
                }
                // The record of earlier decisions stays; numbers of the draft's own rows follow it.
                try database.execute(
                    sql: "INSERT INTO main.resolution (time, size, root, checkpoint, halted_reason, halted_message) "
                        + "SELECT time, size, root, checkpoint, halted_reason, halted_message FROM draft.resolution"
                )
                return .commit
            }
            try database.execute(sql: "DETACH DATABASE draft")
        }
        directory.synchronize()
        return name
    }
}
