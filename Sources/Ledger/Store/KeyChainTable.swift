internal import Contracts
internal import Foundation
internal import GRDB

/// An entry of the key chain: genesis, or an effective root.rotate, ledger.keys, policy.set or protocol.upgrade.
struct KeyChange: Sendable, Equatable {
    /// Index in the log.
    var index: UInt64
    /// Ledger time at which it took effect.
    var time: Timestamp
    var leaf: [UInt8]
}

/// Where the entries of the key chain are in the log. It can be made anew from the entries at any time.
enum KeyChainTable {
    struct Place: Equatable {
        var index: UInt64
        var time: Timestamp
    }

    static func create(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE key_chain (
                    idx INTEGER NOT NULL PRIMARY KEY REFERENCES entry (idx),
                    time INTEGER NOT NULL
                ) STRICT
                """
        )
    }

    /// Fills the table of a database that was made before there was one.
    static func complete(_ pool: DatabasePool) throws {
        guard try !pool.read({ try $0.tableExists("key_chain") }) else { return }
        try pool.write { database in
            try create(database)
            for place in try derived(database) { try append(place.index, at: place.time, to: database) }
        }
    }

    /// What the rows have to be, from the entries.
    static func derived(_ database: Database) throws -> [Place] {
        var places: [Place] = []
        var now: Timestamp = 0
        let rows = try Row.fetchCursor(database, sql: "SELECT idx, leaf FROM entry WHERE code = 'ok' ORDER BY idx")
        while let row = try rows.next() {
            let leaf = [UInt8](try row.decode(Data.self, forColumn: "leaf"))
            guard case .entry(let entry) = ParsedEntry(leaf: leaf) else { continue }
            switch entry.body {
            case .genesis(let body): now = body.time
            case .tick(let body): now = body.time
            default: break
            }
            guard entry.body.isKeyChange else { continue }
            places.append(Place(index: try LedgerStore.size(row.decode(Int64.self, forColumn: "idx")), time: now))
        }
        return places
    }

    /// The rows.
    static func places(_ database: Database) throws -> [Place] {
        try Row.fetchAll(database, sql: "SELECT idx, time FROM key_chain ORDER BY idx").map { row in
            Place(
                index: try LedgerStore.size(row.decode(Int64.self, forColumn: "idx")),
                time: try row.decode(Timestamp.self, forColumn: "time")
            )
        }
    }

    static func append(_ index: UInt64, at time: Timestamp, to database: Database) throws {
        try database.execute(
            sql: "INSERT INTO key_chain (idx, time) VALUES (?, ?)",
            arguments: [try LedgerStore.integer(index), time]
        )
    }
}

extension LedgerStore {
    /// The key chain up to the committed head, in log order.
    func keyChain() async throws -> [KeyChange] {
        try await read { database in
            try Row.fetchAll(
                database,
                sql: "SELECT idx, time, leaf FROM key_chain JOIN entry USING (idx) ORDER BY idx"
            ).map { row in
                KeyChange(
                    index: try Self.size(row["idx"]),
                    time: row["time"],
                    leaf: [UInt8](row["leaf"] as Data)
                )
            }
        }
    }

    /// Entry `number` of the key chain; nil beyond its end.
    func keyChange(_ number: UInt64) async throws -> KeyChange? {
        try await read { database in
            try Row.fetchOne(
                database,
                sql: "SELECT idx, time, leaf FROM key_chain JOIN entry USING (idx) ORDER BY idx LIMIT 1 OFFSET ?",
                arguments: [try Self.integer(number)]
            ).map { row in
                KeyChange(
                    index: try Self.size(row["idx"]),
                    time: row["time"],
                    leaf: [UInt8](row["leaf"] as Data)
                )
            }
        }
    }
}

extension EntryBody {
    /// Whether an entry with this body belongs to the key chain (protocol.md 9, `/keyset`).
    var isKeyChange: Bool {
        switch self {
        case .genesis, .rootRotate, .ledgerKeys, .policySet, .protocolUpgrade: true
        default: false
        }
    }
}
