public import Contracts

/// The root of a full hash tile: one hash of the tile level above.
public struct TileRoot: Sendable, Hashable {
    /// Tile level, 1 or more.
    public var level: Int
    /// Position within the level.
    public var index: UInt64
    public var hash: Digest
}

/// The hashes of the unfinished tile at the right end of each tile level.
///
/// It turns appended leaf hashes into the roots of tiles that become full, which is all that has to be stored besides
/// the leaf hashes to serve every tile (C2SP tlog-tiles).
struct TreeEdge: Sendable, Equatable {
    private(set) var size: UInt64 = 0
    /// The unfinished tile of each level, lowest first; each holds fewer than 256 hashes.
    private(set) var partialTiles: [[Digest]] = [[]]

    init() {}

    /// The edge of a stored tree.
    ///
    /// - Returns: nil if a level does not have the number of hashes that the size asks for.
    init?(size: UInt64, partialTiles: [[Digest]]) {
        self.size = size
        for (level, tile) in partialTiles.enumerated() where tile.count != Self.width(size: size, level: level) {
            return nil
        }
        guard partialTiles.count == Self.levels(size: size) else { return nil }
        self.partialTiles = partialTiles
    }

    /// Number of tile levels of a tree, at least 1.
    static func levels(size: UInt64) -> Int {
        var levels = 1
        while levels < 8, size >> (8 * UInt64(levels)) > 0 { levels += 1 }
        return levels
    }

    /// Number of hashes in the unfinished tile of a level.
    static func width(size: UInt64, level: Int) -> Int {
        Int((size >> (8 * UInt64(level))) & 0xFF)
    }

    /// Appends a leaf hash; returns the roots of the tiles that it completes, lowest level first.
    mutating func append(_ leafHash: Digest) -> [TileRoot] {
        size += 1
        var completed: [TileRoot] = []
        var hash = leafHash
        var level = 0
        while true {
            if level == partialTiles.count { partialTiles.append([]) }
            partialTiles[level].append(hash)
            guard partialTiles[level].count == TilePath.fullWidth else { return completed }
            hash = Self.root(ofFullTile: partialTiles[level])
            partialTiles[level] = []
            level += 1
            completed.append(TileRoot(level: level, index: (size >> (8 * UInt64(level))) - 1, hash: hash))
        }
    }

    static func root(ofFullTile hashes: [Digest]) -> Digest {
        var row = hashes
        while row.count > 1 {
            row = stride(from: 0, to: row.count, by: 2).map { MerkleTree.nodeHash(row[$0], row[$0 + 1]) }
        }
        return row[0]
    }
}
