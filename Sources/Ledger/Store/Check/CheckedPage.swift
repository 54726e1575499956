internal import GRDB

/// Some entries as they are stored, with the checkpoints whose trees end among them.
struct CheckedPage: Sendable {
    struct Entry: Sendable {
        var index: UInt64
        var leaf: [UInt8]
        var leafHash: [UInt8]
        var id: [UInt8]
        var code: [UInt8]
        var outcome: [UInt8]
    }

    private(set) var entries: [Entry] = []
    /// Notes by the size they are stored under.
    private(set) var checkpoints: [UInt64: [UInt8]] = [:]

    /// Reads what follows the first `start` entries.
    init(after start: UInt64, from reader: StoreReader) async throws {
        let first = try LedgerStore.integer(start)
        let limit = StoreCheck.pageEntries
        (entries, checkpoints) = try await reader.read { database in
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT entry.idx, leaf, leaf_hash, txid, CAST(code AS BLOB) AS code, canonical
                    FROM entry LEFT JOIN outcome ON outcome.idx = entry.idx
                    WHERE entry.idx >= ? ORDER BY entry.idx LIMIT ?
                    """,
                arguments: [first, limit]
            )
            let entries = try rows.enumerated().map { offset, row in try Self.entry(row, at: start + UInt64(offset)) }
            var checkpoints: [UInt64: [UInt8]] = [:]
            let kept = try Row.fetchAll(
                database,
                sql: "SELECT size, note FROM checkpoint WHERE size > ? AND size <= ? ORDER BY size",
                arguments: [first, first + Int64(entries.count)]
            )
            for row in kept {
                guard let size = row.storedNumber("size"), let note = row.storedBytes("note") else {
                    throw StoreFault("checkpoint", nil, "checkpoint.form", "a row is no size and note")
                }
                checkpoints[size] = note
            }
            return (entries, checkpoints)
        }
    }

    private static func entry(_ row: Row, at expected: UInt64) throws -> Entry {
        guard let index = row.storedNumber("idx"), index == expected else {
            throw StoreFault("entry", expected, "entry.order", "the log has no entry with this index")
        }
        guard let leaf = row.storedBytes("leaf"), let hash = row.storedBytes("leaf_hash"),
            let id = row.storedBytes("txid"),
            let code = row.storedBytes("code")
        else { throw StoreFault("entry", index, "entry.form", "a column has a value of another type") }
        guard let outcome = row.storedBytes("canonical") else {
            throw StoreFault("outcome", index, "outcome.missing", "the entry has no outcome")
        }
        return Entry(index: index, leaf: leaf, leafHash: hash, id: id, code: code, outcome: outcome)
    }
}
