internal import Contracts
internal import Foundation
internal import GRDB

extension TrustStore {
    /// The leaf hashes of one tile of 256, as far as they are stored; those beyond the trusted size mean nothing.
    func leafHashes(tile: UInt64) async throws -> [Digest] {
        try await queue.read { database in
            let stored = try Data.fetchOne(
                database,
                sql: "SELECT hashes FROM leaf WHERE tile = ?",
                arguments: [Int64(clamping: tile)]
            )
            return TrustRow.digests(stored.map { Array($0) } ?? [])
        }
    }

    /// Index of the entry with this txid and code ok; nil if there is none.
    ///
    /// The first call makes the index over txids, a second for a million entries: nobody but a mirror asks, and a long log
    /// is caught up with in less time without it.
    func index(of id: Identifier) async throws -> UInt64? {
        try await queue.write { database in
            try database.execute(sql: "CREATE INDEX IF NOT EXISTS outcome_id ON outcome (id)")
            let index = try Int64.fetchOne(
                database,
                sql: "SELECT min(idx) FROM outcome WHERE id = ? AND code = 'ok'",
                arguments: [Data(id.bytes)]
            )
            return index.flatMap { UInt64(exactly: $0) }
        }
    }
}
