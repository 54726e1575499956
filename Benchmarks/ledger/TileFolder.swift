import Contracts
import Foundation
import Ledger

/// Writes a log as the files of C2SP tlog-tiles while it grows.
struct TileFolder {
    private let path: String
    private var bundle: [[UInt8]] = []
    /// The unfinished tile of each level.
    private var levels: [[Digest]] = []
    private var counts: [UInt64] = []
    private(set) var tree = CompactRange()

    init(path: String) {
        self.path = path
    }

    mutating func append(_ leaf: [UInt8], _ hash: Digest) throws {
        bundle.append(leaf)
        tree.append(hash)
        if bundle.count == TilePath.fullWidth {
            try write(EntryBundle.encode(bundle), TilePath(.entries, index: tree.size / 256 - 1, width: 256))
            bundle = []
        }
        try append(hash, level: 0)
    }

    private mutating func append(_ hash: Digest, level: Int) throws {
        if level == levels.count {
            levels.append([])
            counts.append(0)
        }
        levels[level].append(hash)
        guard levels[level].count == TilePath.fullWidth else { return }
        let tile = HashTile(levels[level])
        try write(tile.bytes, TilePath(.hashes(level: level), index: counts[level], width: TilePath.fullWidth))
        counts[level] += 1
        levels[level] = []
        try append(tile.root, level: level + 1)
    }

    /// Writes the partial tiles and the checkpoint.
    mutating func finish(checkpoint: [UInt8]) throws {
        if !bundle.isEmpty {
            try write(
                EntryBundle.encode(bundle),
                TilePath(.entries, index: tree.size / 256, width: bundle.count)
            )
        }
        for (level, hashes) in levels.enumerated() where !hashes.isEmpty {
            let tile = TilePath(.hashes(level: level), index: counts[level], width: hashes.count)
            try write(HashTile(hashes).bytes, tile)
        }
        try Data(checkpoint).write(to: URL(fileURLWithPath: "\(path)/checkpoint"))
    }

    private func write(_ bytes: [UInt8], _ tile: TilePath) throws {
        let url = URL(fileURLWithPath: "\(path)/\(tile)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(bytes).write(to: url)
    }
}
