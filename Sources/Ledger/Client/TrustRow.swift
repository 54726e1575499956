internal import Contracts
internal import Foundation
internal import GRDB

/// The row of the trusted position and the schema around it.
enum TrustRow {
    static let schema = """
        CREATE TABLE trust (
            ledger_id BLOB PRIMARY KEY, origin TEXT NOT NULL, keyset INTEGER NOT NULL, size INTEGER NOT NULL,
            root BLOB NOT NULL, checkpoint BLOB NOT NULL, edge BLOB NOT NULL, fold INTEGER NOT NULL,
            outcome_edge BLOB NOT NULL, outcome_root BLOB NOT NULL, state_root BLOB NOT NULL,
            last_tick INTEGER NOT NULL, quorum_time INTEGER NOT NULL,
            halted_reason TEXT NOT NULL, halted_message TEXT NOT NULL, seal BLOB NOT NULL
        ) STRICT;
        CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE outcome (idx INTEGER PRIMARY KEY, code TEXT NOT NULL, id BLOB) STRICT;
        CREATE TABLE leaf (tile INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
        """

    /// The stored row; nil if there is not exactly one or it fails its check value.
    static func read(_ database: Database) throws -> TrustedPosition? {
        let rows = try Row.fetchAll(database, sql: "SELECT * FROM trust")
        guard rows.count == 1, let ledgerID = Digest(try rows[0].bytes("ledger_id")) else { return nil }
        let row = rows[0]
        var position = TrustedPosition(ledgerID: ledgerID)
        guard
            let root = Digest(try row.bytes("root")),
            let stateRoot = Digest(try row.bytes("state_root")),
            let seal = Digest(try row.bytes("seal")),
            let edge = try range("edge", row),
            let outcomes = try range("outcome_edge", row),
            let size = UInt64(exactly: try row.decode(Int64.self, forColumn: "size")), edge.size == size,
            let keyset = UInt64(exactly: try row.decode(Int64.self, forColumn: "keyset"))
        else { return nil }
        position.origin = try row.decode(forColumn: "origin")
        position.keyset = keyset
        position.root = root
        position.checkpoint = try row.bytes("checkpoint")
        position.edge = edge
        position.fold = try row.decode(forColumn: "fold")
        position.outcomes = outcomes
        position.stateRoot = stateRoot
        position.lastTick = try row.decode(forColumn: "last_tick")
        position.quorumTime = try row.decode(forColumn: "quorum_time")
        let reason: String = try row.decode(forColumn: "halted_reason")
        if !reason.isEmpty {
            guard let result = VerificationResult(rawValue: reason) else { return nil }
            position.halt = TrustedPosition.Halt(result: result, message: try row.decode(forColumn: "halted_message"))
        }
        guard
            position.fold >= 0, position.lastTick >= 0, position.quorumTime >= 0,
            position.seal == seal, edge.root == root, outcomes.root == Digest(try row.bytes("outcome_root"))
        else { return nil }
        return position
    }

    /// A compact range stored as its size, 8 bytes big-endian, and its hashes.
    private static func range(_ column: String, _ row: Row) throws -> CompactRange? {
        let bytes = try row.bytes(column)
        guard bytes.count >= 8, (bytes.count - 8) % 32 == 0 else { return nil }
        let size = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return CompactRange(size: size, hashes: digests(bytes.dropFirst(8)))
    }

    private static func bytes(_ range: CompactRange) -> Data {
        var data = Data((0..<8).map { UInt8(truncatingIfNeeded: range.size >> (56 - 8 * $0)) })
        for hash in range.hashes { data.append(contentsOf: hash.bytes) }
        return data
    }

    static func digests(_ bytes: some Collection<UInt8>) -> [Digest] {
        var result: [Digest] = []
        var rest = bytes[...]
        while let digest = Digest(rest.prefix(32)) {
            result.append(digest)
            rest = rest.dropFirst(32)
        }
        return result
    }

    static func insert(_ position: TrustedPosition, _ database: Database) throws {
        let members = columns(position)
        let marks = members.map { _ in "?" }.joined(separator: ", ")
        try database.execute(
            sql: "INSERT INTO trust (\(members.map(\.name).joined(separator: ", "))) VALUES (\(marks))",
            arguments: StatementArguments(members.map(\.value))
        )
    }

    /// Conditional on the previous size, so that a second writer, if there ever were one, changes nothing.
    static func update(_ position: TrustedPosition, from size: UInt64, _ database: Database) throws {
        let members = columns(position)
        let assignments = members.map { "\($0.name) = ?" }.joined(separator: ", ")
        try database.execute(
            sql: "UPDATE trust SET \(assignments) WHERE ledger_id = ? AND size = ?",
            arguments: StatementArguments(members.map(\.value) + [Data(position.ledgerID.bytes), Int64(size)])
        )
        guard database.changesCount == 1 else {
            throw TrustStoreError(.conflict, "the trust store is no longer at size \(size)")
        }
    }

    private static func columns(_ position: TrustedPosition) -> [(name: String, value: (any DatabaseValueConvertible)?)]
    {
        [
            ("ledger_id", Data(position.ledgerID.bytes)),
            ("origin", position.origin),
            ("keyset", Int64(position.keyset)),
            ("size", Int64(position.size)),
            ("root", Data(position.root.bytes)),
            ("checkpoint", Data(position.checkpoint)),
            ("edge", bytes(position.edge)),
            ("fold", position.fold),
            ("outcome_edge", bytes(position.outcomes)),
            ("outcome_root", Data(position.outcomes.root.bytes)),
            ("state_root", Data(position.stateRoot.bytes)),
            ("last_tick", position.lastTick),
            ("quorum_time", position.quorumTime),
            ("halted_reason", position.halt?.result.rawValue ?? ""),
            ("halted_message", position.halt?.message ?? ""),
            ("seal", Data(position.seal.bytes)),
        ]
    }
}

extension Row {
    fileprivate func bytes(_ column: String) throws -> [UInt8] {
        Array(try decode(Data.self, forColumn: column))
    }
}
