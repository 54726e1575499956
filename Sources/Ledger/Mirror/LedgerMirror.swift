public import Contracts
internal import Foundation
public import Logging

/// Why a folder cannot be a mirror of the ledger.
public enum MirrorError: Error, Sendable, Hashable, CustomStringConvertible {
    case foreignFolder(String)
    case otherHistory(String, size: UInt64)
    case ahead(String, size: UInt64, trusted: UInt64)

    public var description: String {
        switch self {
        case .foreignFolder(let path):
            "\(path) holds something else than a mirror; give an empty folder"
        case .otherHistory(let path, let size):
            "the checkpoint in \(path) of size \(size) is not of the history that was verified; "
                + "move the folder away and keep it as evidence"
        case .ahead(let path, let size, let trusted):
            "\(path) holds \(size) entries, the ledger shows only \(trusted) now; the folder stays as it is"
        }
    }
}

/// Keeps a verified copy of a ledger as static files.
///
/// The watcher decides what is true: signatures, quorum, consistency, fold. Of what it trusts, the mirror writes the
/// tiles, computed from the verified leaf hashes, the entry bundles, fetched and compared with them, the key chain, and
/// attested snapshots; then the checkpoint. One task at a time.
public actor LedgerMirror {
    /// What one update wrote.
    public struct Update: Sendable, Hashable {
        public var size: UInt64
        public var root: Digest
        /// Entries that are new.
        public var entries: UInt64

        public init(size: UInt64, root: Digest, entries: UInt64) {
            self.size = size
            self.root = root
            self.entries = entries
        }
    }

    let watcher: Watcher
    let folder: MirrorFolder
    let logger: Logger
    /// Size whose files are complete; nil before the folder was looked at.
    private var size: UInt64?
    /// Entries of the key chain whose files are there.
    private var keyset: UInt64 = 0

    public init(watcher: Watcher, folder path: String, logger: Logger) throws {
        folder = MirrorFolder(path: path)
        self.watcher = watcher
        self.logger = logger
        guard !folder.isForeign else { throw MirrorError.foreignFolder(path) }
        try DurableFiles.makeFolder(path)
    }

    /// Follows until the task is cancelled: each checkpoint that the watcher trusts is written, with everything below it.
    ///
    /// - Throws: `LedgerRefusal` once the watcher halts; `MirrorError`.
    public func run(onUpdate: @escaping @Sendable (Update) -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let watcher = watcher
            let changes = watcher.changes
            group.addTask { try await watcher.run() }
            group.addTask {
                for await state in changes {
                    if case .halted(let result, let message) = state.condition {
                        throw LedgerRefusal(.halted, code: result.rawValue, source: "", message: message)
                    }
                    try await self.follow(onUpdate)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func follow(_ onUpdate: @Sendable (Update) -> Void) async throws {
        do {
            if let update = try await update() { onUpdate(update) }
        } catch let refusal as LedgerRefusal where refusal.kind != .local {
            // The files of the last checkpoint stay; the next change, at the latest in a minute, tries again.
            logger.warning("\(refusal.message)", metadata: ["code": "\(refusal.code)"])
        }
    }

    /// Writes what is trusted and not written yet; nil if there is nothing.
    public func update() async throws -> Update? {
        let position = await watcher.follower.position
        guard position.size > 0 else { return nil }
        let done = try await resume(position)
        guard position.size >= done else {
            throw MirrorError.ahead(folder.path, size: done, trusted: position.size)
        }
        if position.size > done {
            try await writeEntries(from: done, to: position.size)
            try writeUpperTiles(from: done, to: position.size)
        }
        var update: Update?
        if folder.read("checkpoint", limit: SignedNote.longest) != position.checkpoint {
            // At this point every file below the checkpoint is on the disk.
            try folder.write(position.checkpoint, "checkpoint")
            size = position.size
            prune(from: done, to: position.size)
            update = Update(size: position.size, root: position.root, entries: position.size - done)
        }
        // A snapshot lies within the log, so it comes after; one that cannot be had now holds nothing back.
        do {
            try await mirrorSnapshots(position)
        } catch let refusal as LedgerRefusal where refusal.kind != .local {
            logger.warning("\(refusal.message)", metadata: ["code": "\(refusal.code)"])
        }
        return update
    }

    /// Size whose files are complete, found once from the folder.
    private func resume(_ position: TrustedPosition) async throws -> UInt64 {
        if let size { return size }
        var done: UInt64 = 0
        if let checkpoint = folder.checkpoint {
            guard checkpoint.size <= position.size else {
                throw MirrorError.ahead(folder.path, size: checkpoint.size, trusted: position.size)
            }
            var range = CompactRange()
            for hash in try await watcher.store.leafHashes(size: checkpoint.size) { range.append(hash) }
            guard range.root == checkpoint.root else {
                throw MirrorError.otherHistory(folder.path, size: checkpoint.size)
            }
            done = checkpoint.size
        }
        for leaf in folder.keyset {
            guard let id = (try? Envelope(leaf: leaf))?.id,
                let index = try await watcher.store.index(of: id), index < done
            else { break }
            keyset += 1
        }
        size = done
        return done
    }

    // MARK: Entries

    /// Bundles that are fetched at the same time.
    private static let bundlesInFlight = 8
    /// Files that are made durable together.
    private static let filesInBatch = 256

    /// A bundle as the mirror writes it.
    private struct Copy: Sendable {
        var tile: HashTile
        var leaves: [[UInt8]]
        /// Places in the bundle of the entries that may belong to the key chain.
        var keyChanges: [Int]
    }

    /// Bundles and tiles of level 0 of the entries from `start` on, and the key chain among them. They are fetched and
    /// compared beside each other, and written in their order.
    private func writeEntries(from start: UInt64, to end: UInt64) async throws {
        let full = UInt64(TilePath.fullWidth)
        let last = (end - 1) / full
        var batch = try folder.beginBatch()
        try await withThrowingTaskGroup(of: (UInt64, Copy).self) { group in
            var (started, written) = (start / full, start / full)
            var arrived: [UInt64: Copy] = [:]
            while written <= last {
                while started <= last, started - written < Self.bundlesInFlight {
                    let (index, width) = (started, Int(min(full, end - started * full)))
                    group.addTask { (index, try await self.copy(index, width: width)) }
                    started += 1
                }
                guard let (index, copy) = try await group.next() else { break }
                arrived[index] = copy
                while let copy = arrived.removeValue(forKey: written) {
                    try await write(copy, written, from: start, to: &batch)
                    written += 1
                }
                if batch.count >= Self.filesInBatch { try batch.commit() }
            }
        }
        try batch.commit()
        try batch.end()
    }

    private func write(_ copy: Copy, _ index: UInt64, from start: UInt64, to batch: inout FileBatch) async throws {
        let (first, width) = (index * UInt64(TilePath.fullWidth), copy.leaves.count)
        try batch.write(EntryBundle.encode(copy.leaves), "\(TilePath(.entries, index: index, width: width))")
        try batch.write(copy.tile.bytes, "\(TilePath(.hashes(level: 0), index: index, width: width))")
        for offset in copy.keyChanges where first + UInt64(offset) >= start {
            let outcome = try await watcher.store.outcome(at: first + UInt64(offset))
            guard let outcome, outcome.code == .ok else { continue }
            try batch.write(copy.leaves[offset], "keyset/\(keyset)")
            keyset += 1
        }
    }

    /// A bundle of the verified log, from the first source whose bytes are the verified ones.
    private nonisolated func copy(_ index: UInt64, width: Int) async throws -> Copy {
        let hashes = try await watcher.store.leafHashes(tile: index)
        guard hashes.count >= width else {
            throw LedgerRefusal(
                .local,
                code: TrustStoreError.Code.corrupt.rawValue,
                source: "",
                message: "the trust store lacks leaf hashes of tile \(index)"
            )
        }
        let tile = HashTile(Array(hashes.prefix(width)))
        let leaves = try await watcher.client.leaves(bundle: index, provenBy: tile.hashes)
        return Copy(tile: tile, leaves: leaves, keyChanges: leaves.indices.filter { Self.changesKeys(leaves[$0]) })
    }

    /// Whether an entry belongs to the key chain if it has an effect. Most are told by how the payload ends: its last
    /// members are `type` and `v`.
    private static func changesKeys(_ leaf: [UInt8]) -> Bool {
        guard let payload = (try? Envelope(leaf: leaf))?.payload else { return false }
        let types = ["genesis", "root.rotate", "ledger.keys", "policy.set", "protocol.upgrade"]
        let mayChange = types.contains { type in
            let ending = #""type":"\#(type)","v":1}"#.utf8
            return payload.suffix(ending.count).elementsEqual(ending)
        }
        guard mayChange, case .entry(let entry) = ParsedEntry(leaf: leaf) else { return false }
        return entry.body.isKeyChange
    }

    // MARK: Tiles above

    /// Tiles of the levels above 0 that have new hashes: each is the root of a full tile below it.
    private func writeUpperTiles(from start: UInt64, to end: UInt64) throws {
        let full = UInt64(TilePath.fullWidth)
        for level in 1...TilePath.highestLevel {
            let (before, now) = (start >> UInt64(8 * level), end >> UInt64(8 * level))
            guard now > before else { return }
            for index in (before / full)...((now - 1) / full) {
                let width = min(full, now - index * full)
                let below = TilePath.Content.hashes(level: level - 1)
                let hashes = try (index * full..<index * full + width).map { place in
                    let path = TilePath(below, index: place, width: TilePath.fullWidth)
                    guard let bytes = folder.read("\(path)", limit: HashTile.longest),
                        let root = HashTile(bytes, width: TilePath.fullWidth)?.root
                    else { throw MirrorError.foreignFolder("\(folder.path)/\(path)") }
                    return root
                }
                let path = TilePath(.hashes(level: level), index: index, width: Int(width))
                try folder.write(HashTile(hashes).bytes, "\(path)")
            }
        }
    }

    private func prune(from start: UInt64, to end: UInt64) {
        let full = UInt64(TilePath.fullWidth)
        folder.prunePartials(of: .entries, from: start / full, to: end / full)
        for level in 0...TilePath.highestLevel where end >> UInt64(8 * level) > 0 {
            let shift = UInt64(8 * level)
            folder.prunePartials(of: .hashes(level: level), from: (start >> shift) / full, to: (end >> shift) / full)
        }
    }
}
