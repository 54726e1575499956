internal import Contracts
internal import GRDB

extension StoreCheck {
    /// The file by itself: kind, version, SQLite's own check, tables, triggers, indexes and references.
    func checkFile() async throws {
        try await reader.read { database in
            do {
                try Schema.check(database)
            } catch let error as StoreError {
                throw StoreFault(LedgerDirectory.database, nil, "file.kind", "\(error)")
            }
            let verdicts = try String.fetchAll(database, sql: "PRAGMA integrity_check(1)")
            guard verdicts == ["ok"] else {
                throw StoreFault(
                    LedgerDirectory.database,
                    nil,
                    "file.integrity",
                    "SQLite finds it damaged: \(verdicts.first ?? "no answer")"
                )
            }
            try Self.compareSchema(database)
            if let row = try Row.fetchOne(database, sql: "PRAGMA foreign_key_check") {
                let table: DatabaseValue = row[0]
                throw StoreFault("\(table)", nil, "file.references", "a row refers to one that is not there")
            }
            let names = try Row.fetchAll(database, sql: "SELECT CAST(name AS BLOB) AS name FROM meta ORDER BY name")
            if let unknown = names.first {
                let name = String(decoding: unknown.storedBytes("name") ?? [], as: UTF8.self)
                throw StoreFault("meta", name, "meta.unknown", "no row of this name belongs there")
            }
        }
    }

    /// Compares tables, indexes and triggers with those that this version makes.
    private static func compareSchema(_ database: Database) throws {
        let query = """
            SELECT type, name, CAST(sql AS BLOB) AS sql FROM sqlite_schema
            WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name
            """
        func objects(_ database: Database) throws -> [String: [UInt8]] {
            var objects: [String: [UInt8]] = [:]
            for row in try Row.fetchAll(database, sql: query) {
                let (type, name): (DatabaseValue, DatabaseValue) = (row["type"], row["name"])
                objects["\(type.storage.value ?? "") \(name.storage.value ?? "")"] = row.storedBytes("sql") ?? []
            }
            return objects
        }
        let found = try objects(database)
        let model = try DatabaseQueue()
        let expected = try model.write { model in
            try Schema.create(model)
            return try objects(model)
        }
        for name in Set(found.keys).union(expected.keys).sorted() where found[name] != expected[name] {
            let reason =
                switch (found[name], expected[name]) {
                case (nil, _): "it is missing"
                case (_, nil): "a ledger has none"
                default: "it is not the one that `ledger init` makes"
                }
            throw StoreFault("sqlite_schema", name, "file.schema", reason)
        }
    }

    /// The head against the folded log, and rows that belong to no entry.
    func checkHead(_ replay: CheckedReplay) async throws {
        let (size, tree, outcomes) = (replay.tree.size, replay.tree, replay.state.outcomes)
        let tileRoots = replay.tileRootCount
        try await reader.read { database in
            guard try KeyChainTable.places(database) == KeyChainTable.derived(database) else {
                throw StoreFault("key_chain", nil, "key_chain.rows", "its rows are not the entries of the key chain")
            }
            for (table, rule) in [("outcome", "outcome.extra")] {
                let count = try Int64.fetchOne(database, sql: "SELECT count(*) FROM \(table)") ?? 0
                guard count == Int64(size) else {
                    throw StoreFault(table, nil, rule, "it has \(count) rows for \(size) entries")
                }
            }
            let tiles = try Int64.fetchOne(database, sql: "SELECT count(*) FROM tile_root") ?? 0
            guard tiles == Int64(tileRoots) else {
                throw StoreFault("tile_root", nil, "tile.extra", "it has \(tiles) rows for \(tileRoots) full tiles")
            }
            let heads = try Row.fetchAll(database, sql: "SELECT size, root, tree_range, outcome_range FROM head")
            guard heads.count == 1, let head = heads.first else {
                throw StoreFault("head", nil, "head.rows", "it has \(heads.count) rows instead of one")
            }
            guard head.storedNumber("size") == size else {
                throw StoreFault("head", nil, "head.size", "it is not the number of entries, \(size)")
            }
            guard head.storedBytes("root") == tree.root.bytes else {
                throw StoreFault("head", nil, "head.root", "the entries give the root \(tree.root)")
            }
            guard head.storedBytes("tree_range") == tree.hashes.flatMap(\.bytes) else {
                throw StoreFault("head", nil, "head.tree_range", "it is not the right edge of the tree")
            }
            guard head.storedBytes("outcome_range") == outcomes.hashes.flatMap(\.bytes) else {
                throw StoreFault("head", nil, "head.outcome_range", "it is not the right edge over the outcomes")
            }
        }
    }

    /// Every state row against the folded state.
    mutating func checkState(_ replay: inout CheckedReplay) async throws {
        let expected = replay.state.rows
        report.stateRoot = replay.stateRoot()
        try await reader.read { database in
            let stored = try Row.fetchCursor(
                database,
                sql: "SELECT CAST(key AS BLOB) AS key, value FROM state ORDER BY key"
            )
            var position = 0
            while let row = try stored.next() {
                let key = row.storedBytes("key") ?? []
                let name = String(decoding: key, as: UTF8.self)
                guard position < expected.count else {
                    throw StoreFault("state", name, "state.extra", "the fold gives no such row")
                }
                let (wanted, value) = expected[position]
                guard key.elementsEqual(wanted.utf8) else {
                    let isExtra = key.lexicographicallyPrecedes(wanted.utf8)
                    throw isExtra
                        ? StoreFault("state", name, "state.extra", "the fold gives no such row")
                        : StoreFault("state", wanted, "state.missing", "the fold gives this row")
                }
                guard row.storedBytes("value") == value else {
                    throw StoreFault("state", name, "state.value", "the fold gives another value")
                }
                position += 1
            }
            guard position == expected.count else {
                throw StoreFault("state", expected[position].key, "state.missing", "the fold gives this row")
            }
        }
    }

    /// The receipts of the first and the last entry that each checkpoint is the first to cover, made as the server makes
    /// them.
    func checkReceipts() async throws {
        let largest = report.size
        var after: Int64 = 0
        var first: UInt64 = 0
        while true {
            let start = after
            let sizes = try await reader.read { database in
                try Int64.fetchAll(
                    database,
                    sql: "SELECT size FROM checkpoint WHERE size > ? ORDER BY size LIMIT ?",
                    arguments: [start, Self.pageEntries]
                )
            }
            guard let last = sizes.last else { return }
            guard last <= Int64(largest) else {
                throw StoreFault("checkpoint", last, "checkpoint.bound", "the log has only \(largest) entries")
            }
            var indices: [UInt64] = []
            for size in sizes {
                indices += first + 1 < UInt64(size) ? [first, UInt64(size) - 1] : [first]
                first = UInt64(size)
            }
            let asked = indices
            try await reader.read { database in
                let leafHash = try database.cachedStatement(sql: "SELECT leaf_hash FROM entry WHERE idx = ?")
                for (index, bytes) in zip(asked, try LedgerStore.receipts(of: asked, in: database)) {
                    let row = try Row.fetchOne(leafHash, arguments: [try LedgerStore.integer(index)])
                    let hash = row?.storedBytes("leaf_hash").flatMap { Digest($0) }
                    guard let hash, let receipt = try? Receipt(parsing: bytes), receipt.proves(hash) else {
                        throw StoreFault("entry", index, "receipt.proof", "its receipt does not prove it")
                    }
                }
            }
            after = last
        }
    }
}
