internal import Contracts

/// The leaf hashes of a log, 32 bytes an entry, from the hash tiles of level 0, hashed to the root of a checkpoint.
struct LeafHashes: Sendable {
    private(set) var hashes: [Digest] = []
    /// Right edge of all of them.
    private(set) var edge = CompactRange()
    /// Right edge at the size that was asked for.
    private(set) var prefix = CompactRange()

    /// Where a leaf stands first.
    func index(of leaf: Digest) -> UInt64? {
        hashes.firstIndex(of: leaf).map { UInt64($0) }
    }

    private mutating func append(_ tile: [Digest], at size: UInt64) {
        for hash in tile {
            edge.append(hash)
            if edge.size == size { prefix = edge }
        }
        hashes += tile
    }

    /// Fetches all tiles of the checkpoint's tree and remembers the right edge at `size`.
    ///
    /// - Throws: `snapshot.log` when `size` is beyond the checkpoint, `entries.mismatch` when the tiles do not give its root.
    static func load(_ start: SnapshotStart, _ checkpoint: Checkpoint, at size: UInt64) async throws -> LeafHashes {
        guard size <= checkpoint.size else {
            throw start.refusal(
                .log,
                "its snapshot of size \(size) is beyond its checkpoint of size \(checkpoint.size)"
            )
        }
        let paths = TilePath.all(.hashes(level: 0), size: checkpoint.size)
        return try await withThrowingTaskGroup(of: (Int, [Digest]).self) { group in
            var result = LeafHashes()
            result.hashes.reserveCapacity(Int(checkpoint.size))
            var waiting: [Int: [Digest]] = [:]
            var (started, taken) = (0, 0)
            while taken < paths.count {
                while started < paths.count, started - taken < SnapshotStart.tilesInFlight {
                    let (number, path) = (started, paths[started])
                    group.addTask { (number, try await start.tile(path)) }
                    started += 1
                }
                guard let (number, tile) = try await group.next() else { break }
                waiting[number] = tile
                while let tile = waiting.removeValue(forKey: taken) {
                    result.append(tile, at: size)
                    taken += 1
                }
            }
            guard result.edge.root == checkpoint.root else {
                let what = "its hash tiles do not give the root of its checkpoint of size \(checkpoint.size)"
                throw LedgerRefusal(.entriesMismatch, source: start.source, what)
            }
            return result
        }
    }
}

extension SnapshotStart {
    /// The hashes of a tile, from the full one when the partial one is gone.
    fileprivate func tile(_ path: TilePath) async throws -> [Digest] {
        for width in [path.width, TilePath.fullWidth] {
            do throws(LedgerClientError) {
                let bytes = try await client.tile(level: 0, index: path.index, width: width, from: source)
                guard let tile = HashTile(bytes, width: width) else { break }
                return Array(tile.hashes.prefix(path.width))
            } catch {
                guard error.code == .notFound, width < TilePath.fullWidth else { throw LedgerRefusal(error) }
            }
        }
        throw LedgerRefusal(.entriesMismatch, source: source, "its \(path) is no hash tile")
    }
}
