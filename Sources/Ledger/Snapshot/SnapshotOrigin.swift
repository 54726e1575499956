internal import Contracts
internal import Foundation
internal import GRDB

/// The snapshot that a node started from: what was believed instead of verified, until the history is.
struct SnapshotOrigin: Sendable, Equatable {
    /// The state note with the auditors' signatures.
    var manifest: [UInt8]
    /// What it says.
    var note: StateNote
    /// Whether the entries before it were verified since.
    var isVerified = false

    init(_ signed: SignedStateNote) {
        manifest = signed.bytes
        note = signed.state
    }

    fileprivate init?(manifest: [UInt8], isVerified: Bool) {
        guard let signed = try? SignedStateNote(parsing: manifest) else { return nil }
        self.init(signed)
        self.isVerified = isVerified
    }
}

/// How much of the history a node has verified that started from a snapshot; a node that replayed has no such thing.
public enum SnapshotHistory: Sendable, Hashable {
    /// The state of this size was taken from auditors, and nobody asked to verify it.
    case attested(size: UInt64)
    /// So many of its entries were verified in the background.
    case verifying(entries: UInt64, size: UInt64)
    /// All were, and give the attested state.
    case verified(size: UInt64)
}

extension TrustStore {
    static let originSchema = """
        CREATE TABLE IF NOT EXISTS origin (
            one INTEGER PRIMARY KEY CHECK (one = 1), manifest BLOB NOT NULL, verified INTEGER NOT NULL
        ) STRICT;
        """

    static func origin(_ database: Database) throws -> SnapshotOrigin? {
        guard let row = try Row.fetchOne(database, sql: "SELECT manifest, verified FROM origin") else { return nil }
        let manifest = Array(try row.decode(Data.self, forColumn: "manifest"))
        let isVerified: Bool = try row.decode(forColumn: "verified")
        guard let origin = SnapshotOrigin(manifest: manifest, isVerified: isVerified) else {
            throw TrustStoreError(.corrupt, "the record of its snapshot is no state note")
        }
        return origin
    }

    /// Part of the transaction of the first step.
    static func insert(_ origin: SnapshotOrigin, _ database: Database) throws {
        try database.execute(
            sql: "INSERT OR REPLACE INTO origin (one, manifest, verified) VALUES (1, ?, ?)",
            arguments: [Data(origin.manifest), origin.isVerified]
        )
    }

    /// Records that the entries before the snapshot give its state.
    func markHistoryVerified() async throws {
        try await queue.write { try $0.execute(sql: "UPDATE origin SET verified = 1") }
    }
}
