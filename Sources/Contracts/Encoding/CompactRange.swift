/// The right edge of an append-only Merkle tree: enough to append leaves and to know the root.
public struct CompactRange: Sendable, Equatable {
    /// Leaves that were appended.
    public private(set) var size: UInt64

    /// Roots of the perfect subtrees that the size is made of, the largest (leftmost) first.
    public private(set) var hashes: [Digest]

    /// The range of the empty tree.
    public init() {
        size = 0
        hashes = []
    }

    /// A range that was stored; nil when the count of hashes is not that of the size.
    public init?(size: UInt64, hashes: [Digest]) {
        guard hashes.count == size.nonzeroBitCount else { return nil }
        self.size = size
        self.hashes = hashes
    }

    /// Appends the hash of one leaf.
    public mutating func append(_ leafHash: Digest) {
        var hash = leafHash
        for _ in 0..<(~size).trailingZeroBitCount {
            hash = MerkleTree.nodeHash(hashes.removeLast(), hash)
        }
        hashes.append(hash)
        size += 1
    }

    /// Appends the root of a perfect subtree of 2^level leaves; the size must be a multiple of that many.
    public mutating func append(subtree root: Digest, level: Int) {
        precondition(size & (1 << UInt64(level) - 1) == 0, "a subtree begins at a multiple of its size")
        var hash = root
        for _ in 0..<(~(size >> UInt64(level))).trailingZeroBitCount {
            hash = MerkleTree.nodeHash(hashes.removeLast(), hash)
        }
        hashes.append(hash)
        size += 1 << UInt64(level)
    }

    /// Root hash of the tree of `size` leaves.
    public var root: Digest {
        guard var root = hashes.last else { return MerkleTree.emptyRoot }
        for hash in hashes.dropLast().reversed() { root = MerkleTree.nodeHash(hash, root) }
        return root
    }
}
