internal import Contracts
internal import Foundation

/// The files of a mirror: the paths of protocol.md 9 below a folder that any static web server serves.
///
/// Files appear by a rename and are synced. The checkpoint comes last, so that whatever it covers is there, also after
/// a power cut.
struct MirrorFolder: Sendable {
    let path: String

    /// Partial tiles of one place that are kept, the widest: those of the newest checkpoints, which somebody may be reading.
    static let partialsKept = 8

    func read(_ name: String, limit: Int) -> [UInt8]? {
        DurableFiles.read("\(path)/\(name)", limit: limit)
    }

    /// Writes a file and those folders above it that are missing.
    func write(_ bytes: [UInt8], _ name: String) throws {
        let file = "\(path)/\(name)"
        try DurableFiles.makeFolder(URL(fileURLWithPath: file).deletingLastPathComponent().path)
        try DurableFiles.write(bytes, to: file)
    }

    /// Files that become visible together, some time before the checkpoint that covers them.
    func beginBatch() throws -> FileBatch { try FileBatch(root: path) }

    /// The newest checkpoint that was written completely.
    var checkpoint: Checkpoint? {
        read("checkpoint", limit: SignedNote.longest).flatMap { try? Checkpoint(parsing: $0) }
    }

    /// Entries of the key chain that are there, in their order.
    var keyset: [[UInt8]] {
        var leaves: [[UInt8]] = []
        while let leaf = read("keyset/\(leaves.count)", limit: EntryBundle.longestEntry) { leaves.append(leaf) }
        return leaves
    }

    /// Whether something else than a mirror is in the folder.
    var isForeign: Bool {
        // The drafts of an update that was killed belong to the mirror.
        let names = Set(DurableFiles.names(in: path)).subtracting([FileBatch.drafts])
        return !names.isDisjoint(with: ["MANIFEST", "expect.json", LedgerDirectory.database])
            || (!names.isEmpty && names.isDisjoint(with: ["checkpoint", "tile", "keyset"]))
    }

    /// A reader of the tree of `size` entries.
    func tree(size: UInt64) -> TileReader {
        TileReader(size: size) { read($0.description, limit: HashTile.longest) }
    }

    /// Removes partial tiles that nobody asks for any more: below the one before the last all, and of that and the last all
    /// but the widest.
    ///
    /// - Parameter from: the place of the last tile when this was done before.
    func prunePartials(of content: TilePath.Content, from: UInt64, to last: UInt64) {
        for index in (from == 0 ? 0 : from - 1)...last {
            let full = "\(path)/\(TilePath(content, index: index, width: TilePath.fullWidth))"
            let widths = DurableFiles.names(in: full + ".p").compactMap { Int($0) }.sorted(by: >)
            if index + 1 < last {
                try? FileManager.default.removeItem(atPath: full + ".p")
            } else {
                for width in widths.dropFirst(Self.partialsKept) {
                    try? FileManager.default.removeItem(atPath: "\(full).p/\(width)")
                }
            }
        }
    }
}
