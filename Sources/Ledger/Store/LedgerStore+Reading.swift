internal import Contracts
internal import Foundation
internal import GRDB

/// What a restart takes up again.
struct StoredLedger: Sendable {
    var head: LogHead
    var edge: TreeEdge
    var state: ContractState
    /// The newest kept checkpoint.
    var checkpoint: (size: UInt64, note: [UInt8])?
}

extension LedgerStore {
    // MARK: Restart

    /// Reads the head, the state and the newest checkpoint, and refuses what contradicts itself.
    func restore() throws -> StoredLedger {
        try readBlocking { database in
            let head = try Self.head(database)
            let count = try Int64.fetchOne(database, sql: "SELECT coalesce(max(idx) + 1, 0) FROM entry") ?? 0
            guard try Self.size(count) == head.size else {
                throw StoreError.unusable("it holds \(count) entries and a head of size \(head.size)")
            }
            try Self.checkEdge(of: head, in: database)
            let tiles = try (0..<TreeEdge.levels(size: head.size)).map { level in
                let width = TreeEdge.width(size: head.size, level: level)
                return try Self.tile(
                    level: level,
                    index: head.size >> (8 * UInt64(level + 1)),
                    width: width,
                    in: database
                )
            }
            guard let edge = TreeEdge(size: head.size, partialTiles: tiles) else {
                throw StoreError.unusable("hashes at the end of the tree are missing")
            }
            let state: ContractState
            do {
                // A server never asks for the state root, so the hash tree is not made.
                state = try StoredState.load(database, size: head.size, outcomes: head.outcomes, isHashed: false)
            } catch let error as StateError {
                throw StoreError.unusable("its state rows are no state (\(error))")
            }
            let newest = try Row.fetchOne(database, sql: "SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1")
            let checkpoint = try newest.map { row in
                (size: try Self.size(row["size"]), note: [UInt8](row["note"] as Data))
            }
            if let checkpoint, checkpoint.size > head.size {
                throw StoreError.unusable("a checkpoint of size \(checkpoint.size) is larger than the log")
            }
            return StoredLedger(head: head, edge: edge, state: state, checkpoint: checkpoint)
        }
    }

    /// Compares the head's hashes with the stored ones, and the last leaves with their hashes.
    private static func checkEdge(of head: LogHead, in database: Database) throws {
        var hashes = StoredHashes(database)
        guard try Proofs.compactRange(size: head.size, read: { try hashes.hash(level: $0, index: $1) }) == head.tree
        else {
            throw StoreError.unusable("the stored hashes do not lead to the root of the head")
        }
        let first = try integer(head.size - head.size % UInt64(TilePath.fullWidth))
        let leaves = try Row.fetchAll(
            database,
            sql: "SELECT idx, leaf, leaf_hash FROM entry WHERE idx >= ? ORDER BY idx",
            arguments: [first]
        )
        for row in leaves {
            guard MerkleTree.leafHash([UInt8](row["leaf"] as Data)) == (try digest(row["leaf_hash"])) else {
                throw StoreError.unusable("entry \(row["idx"] as Int64) is not the one that was logged")
            }
        }
    }

    // MARK: Receipts

    public func receipts(of indices: [UInt64]) async throws -> [[UInt8]] {
        try await read { database in try Self.receipts(of: indices, in: database) }
    }

    static func receipts(of indices: [UInt64], in database: Database) throws -> [[UInt8]] {
        var hashes = StoredHashes(database)
        // The first checkpoint over an entry is the first over every later one that it covers.
        var covering: (first: UInt64, checkpoint: Checkpoint)?
        let query = try database.cachedStatement(
            sql: "SELECT note FROM checkpoint WHERE size > ? ORDER BY size LIMIT 1"
        )
        return try indices.map { index in
            let checkpoint: Checkpoint
            if let known = covering, known.first <= index, index < known.checkpoint.size {
                checkpoint = known.checkpoint
            } else {
                guard let note = try Data.fetchOne(query, arguments: [try Self.integer(index)]) else {
                    throw StoreError.missing("checkpoint over entry \(index)")
                }
                guard let parsed = try? Checkpoint(parsing: [UInt8](note)) else {
                    throw StoreError.unusable("a kept checkpoint is malformed")
                }
                checkpoint = parsed
                covering = (index, parsed)
            }
            let proof = try Proofs.inclusion(index: index, size: checkpoint.size) {
                try hashes.hash(level: $0, index: $1)
            }
            return Receipt(index: index, hashes: proof, checkpoint: checkpoint).bytes
        }
    }

    /// The root of the first `size` entries, which must be there.
    static func root(at size: UInt64, in database: Database) throws -> Digest {
        var hashes = StoredHashes(database)
        return try Proofs.compactRange(size: size) { try hashes.hash(level: $0, index: $1) }.root
    }

    /// The consistency proof between two sizes, 0 < `first` <= `second` <= the committed size.
    func consistencyProof(from first: UInt64, to second: UInt64) async throws -> [Digest] {
        try await read { database in
            var hashes = StoredHashes(database)
            return try Proofs.consistency(from: first, to: second) { try hashes.hash(level: $0, index: $1) }
        }
    }

    // MARK: Tiles

    /// The first `width` hashes of a tile, fewer if the log is shorter.
    func tile(level: Int, index: UInt64, width: Int) async throws -> [UInt8] {
        try await read { database in
            try Self.tile(level: level, index: index, width: width, in: database).flatMap(\.bytes)
        }
    }

    /// The first `width` leaves of an entry bundle, fewer if the log is shorter.
    func leaves(bundle index: UInt64, width: Int) async throws -> [[UInt8]] {
        try await read { database in
            let first = index * UInt64(TilePath.fullWidth)
            return try Data.fetchAll(
                database,
                sql: "SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx",
                arguments: [try Self.integer(first), try Self.integer(first + UInt64(width))]
            ).map { [UInt8]($0) }
        }
    }

    static func tile(level: Int, index: UInt64, width: Int, in database: Database) throws -> [Digest] {
        let first = index * UInt64(TilePath.fullWidth)
        let range = [try integer(first), try integer(first + UInt64(width))]
        let blobs =
            if level == 0 {
                try Data.fetchAll(
                    database.cachedStatement(
                        sql: "SELECT leaf_hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx"
                    ),
                    arguments: [range[0], range[1]]
                )
            } else {
                try Data.fetchAll(
                    database.cachedStatement(
                        sql: "SELECT hash FROM tile_root WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
                    ),
                    arguments: [level, range[0], range[1]]
                )
            }
        return try blobs.map(digest)
    }
}

/// Roots of complete subtrees, from the stored tiles; each tile is read, and each inner node hashed, once.
struct StoredHashes {
    private struct Place: Hashable {
        var level: Int
        var index: UInt64
    }

    private let database: Database
    private var tiles: [Place: [Digest]] = [:]
    private var nodes: [Place: Digest] = [:]

    init(_ database: Database) {
        self.database = database
    }

    /// The root of the complete subtree over leaves `index << level ..< (index + 1) << level`.
    mutating func hash(level: Int, index: UInt64) throws -> Digest {
        guard level % 8 > 0 else { return try stored(level: level / 8, index: index) }
        let place = Place(level: level, index: index)
        if let known = nodes[place] { return known }
        let hash = MerkleTree.nodeHash(
            try self.hash(level: level - 1, index: 2 * index),
            try self.hash(level: level - 1, index: 2 * index + 1)
        )
        nodes[place] = hash
        return hash
    }

    private mutating func stored(level: Int, index: UInt64) throws -> Digest {
        let place = Place(level: level, index: index / UInt64(TilePath.fullWidth))
        if tiles[place] == nil {
            tiles[place] = try LedgerStore.tile(
                level: level,
                index: place.index,
                width: TilePath.fullWidth,
                in: database
            )
        }
        let offset = Int(index % UInt64(TilePath.fullWidth))
        guard let tile = tiles[place], offset < tile.count else {
            throw StoreError.missing("hash \(index) of tile level \(level)")
        }
        return tile[offset]
    }
}
