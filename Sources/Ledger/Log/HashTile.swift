public import Contracts

/// The hashes of a tile: up to 256 nodes of one level of the tree.
public struct HashTile: Sendable, Equatable {
    /// Hashes of adjacent nodes, 1...256.
    public let hashes: [Digest]

    /// Longest tile, in bytes.
    public static let longest = 32 * TilePath.fullWidth

    /// A tile of 1...256 hashes.
    public init(_ hashes: [Digest]) {
        precondition((1...TilePath.fullWidth).contains(hashes.count), "a tile holds 1 to 256 hashes")
        self.hashes = hashes
    }

    /// Parses a tile that must hold exactly `width` hashes.
    public init?(_ bytes: [UInt8], width: Int) {
        guard (1...TilePath.fullWidth).contains(width), bytes.count == 32 * width else { return nil }
        hashes = stride(from: 0, to: bytes.count, by: 32).map { Digest(bytes, at: $0) }
    }

    /// The hashes one after the other.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32 * hashes.count)
        for hash in hashes { hash.append(to: &bytes) }
        return bytes
    }

    /// Hash of the perfect subtree of 2^level nodes from node `index` * 2^level of this tile on; nil when it is cut off.
    public func subtree(level: Int, index: Int) -> Digest? {
        guard (0...8).contains(level), index >= 0, (index + 1) << level <= hashes.count else { return nil }
        var nodes = Array(hashes[index << level..<(index + 1) << level])
        while nodes.count > 1 {
            nodes = stride(from: 0, to: nodes.count, by: 2).map { MerkleTree.nodeHash(nodes[$0], nodes[$0 + 1]) }
        }
        return nodes[0]
    }

    /// Root of the nodes as the leaves of a tree.
    public var root: Digest {
        var range = CompactRange()
        for hash in hashes { range.append(hash) }
        return range.root
    }
}
