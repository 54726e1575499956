internal import Contracts
internal import Foundation

/// Snapshots as immutable files: a folder for each size with `00` … `ff`, `proof`, `manifest` once a quorum of
/// auditors attested it, and before that `state` (the unsigned note) and `notes` (the signatures so far).
///
/// A folder appears complete, by a rename. The names of the served files are those of protocol.md 9.
struct SnapshotFolder: Sendable {
    let path: String

    /// Longest chunk that is read or fetched, in bytes: 64 times the chunk of a state of a million rows.
    static let longestChunk = 64 << 20

    init(path: String) {
        self.path = path
    }

    /// Sizes that have a folder, newest first.
    var sizes: [UInt64] {
        DurableFiles.names(in: path).compactMap { Decimal53.parse($0.utf8) }.sorted(by: >)
    }

    func isAttested(_ size: UInt64) -> Bool {
        FileManager.default.fileExists(atPath: "\(path)/\(size)/manifest")
    }

    /// The sizes as `/snapshot/sizes` lists them.
    var list: SnapshotSizes {
        SnapshotSizes(sizes.prefix(SnapshotSizes.mostLines).map { .init(size: $0, isAttested: isAttested($0)) })
    }

    /// The digests that this folder was made with.
    func state(_ size: UInt64) -> StateNote? {
        read(size, "state", SignedNote.longest).flatMap { StateNote(text: $0) }
    }

    /// The newest signatures: those of the manifest, or those that wait for more.
    func notes(_ size: UInt64) -> SignedStateNote? {
        let bytes = read(size, "manifest", SignedNote.longest) ?? read(size, "notes", SignedNote.longest)
        return bytes.flatMap { try? SignedStateNote(parsing: $0) }
    }

    /// The file that a path names.
    func bytes(_ resource: SnapshotPath) -> [UInt8]? {
        switch resource {
        case .sizes: list.bytes
        case .manifest(let size): read(size, "manifest", SignedNote.longest)
        case .proof(let size): read(size, "proof", SnapshotProof.longest)
        case .chunk(let size, let number): read(size, SnapshotPath.name(ofChunk: number), Self.longestChunk)
        case .notes: nil
        }
    }

    private func read(_ size: UInt64, _ name: String, _ limit: Int) -> [UInt8]? {
        DurableFiles.read("\(path)/\(size)/\(name)", limit: limit)
    }

    // MARK: Writing

    /// Where a snapshot is made before it has its name; what a crash left there is removed.
    func beginDraft() throws -> String {
        let draft = "\(path)/.draft"
        try DurableFiles.makeFolder(path)
        if FileManager.default.fileExists(atPath: draft) { try FileManager.default.removeItem(atPath: draft) }
        try DurableFiles.makeFolder(draft)
        return draft
    }

    /// Gives a complete draft its name.
    func finishDraft(_ draft: String, size: UInt64) throws {
        try DurableFiles.synchronise(draft)
        let place = "\(path)/\(size)"
        if FileManager.default.fileExists(atPath: place) { try FileManager.default.removeItem(atPath: place) }
        try FileManager.default.moveItem(atPath: draft, toPath: place)
        try DurableFiles.synchronise(path)
        // At this point the snapshot survives a power cut, whole.
    }

    func write(_ bytes: [UInt8], _ name: String, of size: UInt64) throws {
        try DurableFiles.write(bytes, to: "\(path)/\(size)/\(name)")
    }

    /// Removes all but the newest `kept`; the newest attested one always stays.
    func prune(keeping kept: Int) {
        let attested = sizes.first { isAttested($0) }
        for size in sizes.dropFirst(max(1, kept)) where size != attested {
            try? FileManager.default.removeItem(atPath: "\(path)/\(size)")
        }
    }
}
