import Contracts

/// One log of a comparison: its checkpoint, and as many hash tiles as were asked for.
///
/// What it gives is proven to be of the checkpoint's root; whether somebody signed that root is another question.
struct LogTree {
    let source: any LogSource
    let checkpoint: Checkpoint
    private var tiles: [TilePath: [UInt8]] = [:]

    /// Reads and parses the checkpoint.
    init(_ source: any LogSource) async throws {
        self.source = source
        guard let bytes = try await source.checkpoint() else {
            throw AuditFailure(.noteMalformed, "there is no checkpoint")
        }
        do {
            checkpoint = try Checkpoint(parsing: bytes)
        } catch {
            throw AuditFailure(error, "the checkpoint is no signed note of three lines")
        }
    }

    var size: UInt64 { checkpoint.size }

    /// Computes over hashes of the tree; tiles that are missing are fetched, and the computation begins again.
    mutating func compute<Value>(_ body: (@escaping Proofs.SubtreeReader) throws -> Value) async throws -> Value {
        while true {
            do {
                let tiles = tiles
                let reader = TileReader(size: size) { tiles[$0] }
                return try body(reader.subtree)
            } catch let missing as TileReader.Missing {
                try await fetch(missing.path)
            }
        }
    }

    mutating func fetch(_ path: TilePath) async throws {
        guard tiles[path] == nil, case .hashes(let level) = path.content,
            let tile = try await source.hashTile(level: level, index: path.index, width: path.width)
        else { throw AuditFailure(.entriesMismatch, "\(path) is missing or does not hold \(path.width) hashes") }
        tiles[path] = tile.bytes
    }

    /// Hashes that are at hand; throws `TileReader.Missing` for others.
    var reader: Proofs.SubtreeReader {
        let tiles = tiles
        return TileReader(size: size) { tiles[$0] }.subtree
    }

    /// The root of the first `count` entries, proven to be a prefix of the checkpoint's tree. Requires `count` <= `size`.
    mutating func root(at count: UInt64) async throws -> Digest {
        let root = try await compute { try Proofs.compactRange(size: count, read: $0).root }
        let isProven: Bool
        if count == size {
            isProven = root == checkpoint.root
        } else {
            let proof = try await consistency(from: count)
            isProven =
                count == 0
                || Proofs.verifyConsistency(from: count, root: root, to: size, root: checkpoint.root, proof: proof)
        }
        guard isProven else {
            throw AuditFailure(.entriesMismatch, "the tiles do not hash to the checkpoint's root \(checkpoint.root)")
        }
        return root
    }

    /// The consistency proof between a size and that of the checkpoint; empty for size 0.
    mutating func consistency(from count: UInt64) async throws -> [Digest] {
        guard count > 0 else { return [] }
        let size = size
        return try await compute { try Proofs.consistency(from: count, to: size, read: $0) }
    }

    /// The bytes of an entry, proven to be in the log. Requires `index` < `size`.
    mutating func leaf(at index: UInt64) async throws -> [UInt8] {
        let size = size
        let proof = try await compute { try Proofs.inclusion(index: index, size: size, read: $0) }
        let bundle = index / UInt64(TilePath.fullWidth)
        let width = min(UInt64(TilePath.fullWidth), size - bundle * UInt64(TilePath.fullWidth))
        let path = TilePath(.entries, index: bundle, width: Int(width))
        guard let leaves = try await source.leaves(path) else {
            throw AuditFailure(.entriesMismatch, "\(path) is missing or does not hold \(width) entries", index: index)
        }
        let leaf = leaves[Int(index % UInt64(TilePath.fullWidth))]
        let isProven = Proofs.verifyInclusion(
            index: index,
            size: size,
            leafHash: MerkleTree.leafHash(leaf),
            proof: proof,
            root: checkpoint.root
        )
        guard isProven else {
            throw AuditFailure(.entriesMismatch, "entry \(index) is not the one of the checkpoint", index: index)
        }
        return leaf
    }
}
