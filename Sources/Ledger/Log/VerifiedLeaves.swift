public import Contracts

/// The leaf hashes of a log, proven to be those of a checkpoint: what lets bundles be taken one at a time and in any order.
///
/// Holds 32 bytes for each 256 leaves.
public struct VerifiedLeaves: Sendable {
    /// The checkpoint whose root the hashes give. Its signatures are not part of this proof.
    public let checkpoint: Checkpoint

    /// Roots at the sizes that were asked for, as far as the log has so many leaves.
    public let roots: [UInt64: Digest]

    private let tiles: [Digest]

    /// Hashes the lowest tiles in their order.
    public struct Builder: Sendable {
        private let checkpoint: Checkpoint
        private let rootSizes: Set<UInt64>
        private var range = CompactRange()
        private var roots: [UInt64: Digest] = [:]
        private var tiles: [Digest] = []

        /// `rootSizes` are the sizes at which a root will be asked for.
        public init(checkpoint: Checkpoint, rootSizes: Set<UInt64> = []) {
            self.checkpoint = checkpoint
            self.rootSizes = rootSizes
            if rootSizes.contains(0) { roots[0] = MerkleTree.emptyRoot }
        }

        /// Takes the next tile of level 0, of which `root` is the root.
        public mutating func append(_ tile: HashTile, root: Digest) {
            let end = range.size + UInt64(tile.hashes.count)
            if tile.hashes.count == TilePath.fullWidth, !rootSizes.contains(where: { range.size < $0 && $0 <= end }) {
                range.append(subtree: root, level: 8)
            } else {
                for hash in tile.hashes {
                    range.append(hash)
                    if rootSizes.contains(range.size) { roots[range.size] = range.root }
                }
            }
            tiles.append(.sha256(tile.bytes))
        }

        /// The proof, when size and root are those of the checkpoint.
        public func finish() throws(AuditFailure) -> VerifiedLeaves {
            guard range.size == checkpoint.size, range.root == checkpoint.root else {
                throw AuditFailure(
                    .entriesMismatch,
                    "the leaves hash to \(range.root) at size \(range.size), the checkpoint says \(checkpoint.root)"
                )
            }
            return VerifiedLeaves(checkpoint: checkpoint, roots: roots, tiles: tiles)
        }
    }

    private init(checkpoint: Checkpoint, roots: [UInt64: Digest], tiles: [Digest]) {
        self.checkpoint = checkpoint
        self.roots = roots
        self.tiles = tiles
    }

    /// How many bundles the log has.
    public var bundleCount: Int { tiles.count }

    /// The path of a bundle.
    public func path(bundle index: Int) -> TilePath {
        let rest = checkpoint.size - UInt64(index) * UInt64(TilePath.fullWidth)
        return TilePath(.entries, index: UInt64(index), width: Int(min(rest, UInt64(TilePath.fullWidth))))
    }

    /// The leaf hashes, when they are exactly those of the bundle at that index.
    public func verify(_ leaves: [[UInt8]], bundle index: Int) -> [Digest]? {
        guard tiles.indices.contains(index), leaves.count == path(bundle: index).width else { return nil }
        let hashes = leaves.map { MerkleTree.leafHash($0) }
        return Digest.sha256(HashTile(hashes).bytes) == tiles[index] ? hashes : nil
    }
}
