import Contracts

/// Reads all hash tiles of a log and proves that they are those of a checkpoint, from the leaves up.
enum TileAudit {
    /// Reads level 0, then checks that each higher level repeats the roots of the full tiles below it.
    static func run(
        _ checkpoint: Checkpoint,
        from source: any LogSource,
        rootSizes: Set<UInt64> = []
    ) async throws -> VerifiedLeaves {
        var builder = VerifiedLeaves.Builder(checkpoint: checkpoint, rootSizes: rootSizes)
        var nodes: [Digest] = []
        for path in TilePaths(level: 0, items: checkpoint.size) {
            let tile = try await tile(path, from: source)
            let root = tile.root
            builder.append(tile, root: root)
            if path.width == TilePath.fullWidth { nodes.append(root) }
        }
        let leaves = try builder.finish()
        var level = 1
        while !nodes.isEmpty, level <= TilePath.highestLevel {
            var parents: [Digest] = []
            for path in TilePaths(level: level, items: UInt64(nodes.count)) {
                let start = Int(path.index) * TilePath.fullWidth
                let expected = HashTile(Array(nodes[start..<start + path.width]))
                guard try await tile(path, from: source) == expected else {
                    throw AuditFailure(.entriesMismatch, "\(path) does not repeat the tiles below it")
                }
                if path.width == TilePath.fullWidth { parents.append(expected.root) }
            }
            nodes = parents
            level += 1
        }
        return leaves
    }

    private static func tile(_ path: TilePath, from source: any LogSource) async throws -> HashTile {
        guard case .hashes(let level) = path.content,
            let tile = try await source.hashTile(level: level, index: path.index, width: path.width)
        else { throw AuditFailure(.entriesMismatch, "\(path) is missing or does not hold \(path.width) hashes") }
        return tile
    }
}

/// The hash tiles of a level that has so many items, one at a time: a false size costs no memory.
private struct TilePaths: Sequence, IteratorProtocol {
    let level: Int
    let items: UInt64
    var index: UInt64 = 0

    init(level: Int, items: UInt64) {
        self.level = level
        self.items = items
    }

    mutating func next() -> TilePath? {
        let done = index * UInt64(TilePath.fullWidth)
        guard done < items else { return nil }
        defer { index += 1 }
        return TilePath(
            .hashes(level: level),
            index: index,
            width: Int(Swift.min(items - done, UInt64(TilePath.fullWidth)))
        )
    }
}
