internal import Contracts
internal import Foundation
internal import Logging

/// Verifies the entries that a snapshot stood for, behind a node that runs on it: every signature, the fold, and at the
/// snapshot's size the attested digests.
///
/// It reads one bundle at a time from any source that has the bytes which the trusted tree proves, and rests as long as it
/// worked, so it takes half a core at most. Memory: a second state, which grows to the size of the snapshot's, and one
/// bundle. What was done is saved in a file of its own in the state folder, and a later process goes on from there.
struct HistoryCheck: Sendable {
    /// What the entries give.
    enum Verdict: Sendable {
        case same
        /// The digests that were computed, and in words what differs.
        case different(outcomeRoot: Digest, stateRoot: Digest, String)
    }

    /// The file beside the trust store.
    static let name = "history.sqlite"
    /// Entries between two saves: what a crash may cost.
    static let savedEvery: UInt64 = 16_384

    let origin: SnapshotOrigin
    let follower: LedgerFollower
    let store: TrustStore
    let configuration: WatcherConfiguration
    let logger: Logger

    private var path: String { "\(store.directory.path)/\(Self.name)" }

    /// Verifies up to the snapshot.
    ///
    /// - Parameters:
    ///   - progress: called with the entries verified so far.
    ///   - wait: called when no source has the next entries; throws to give up.
    /// - Throws: what `wait` throws, `CancellationError`, or an error of the disk.
    func run(
        progress: (UInt64) async -> Void,
        wait: (LedgerRefusal) async throws -> Void
    ) async throws -> Verdict {
        let file = try AuditStore(path: path, ledgerID: configuration.ledgerID)
        var replay = try await resumed(file)
        var saved = replay.state.size
        let full = UInt64(TilePath.fullWidth)
        let announced = AnnouncedKeys()
        await progress(saved)
        while replay.state.size < origin.note.size {
            let size = replay.state.size
            let index = size / full
            let begin = ContinuousClock.now
            let bundle: (leaves: [[UInt8]], hashes: [Digest])
            do {
                bundle = try await leaves(index, width: Int(min(full, origin.note.size - index * full)))
            } catch {
                // Whatever it is, what was verified is not verified again.
                try await save(&replay, in: file, &saved)
                guard let refusal = error as? LedgerRefusal else { throw error }
                try await wait(refusal)
                continue
            }
            let fresh = Int(size % full)
            let entries = follower.engine.prepare(bundle.leaves, Int(index), replay.state.keyRing, announced)
            announced.remove(page: Int(index))
            for ((entry, verdicts), hash) in zip(entries, bundle.hashes).dropFirst(fresh) {
                guard replay.fold(entry, leafHash: hash, verdicts: verdicts) != nil else {
                    let what = "entry \(replay.state.size) needs a later fold than the attested one"
                    return .different(
                        outcomeRoot: replay.state.outcomeRoot,
                        stateRoot: replay.stateRoot(),
                        what
                    )
                }
            }
            if replay.state.size >= saved + Self.savedEvery { try await save(&replay, in: file, &saved) }
            await progress(replay.state.size)
            do {
                try await configuration.clock.sleep(for: begin.duration(to: .now))
            } catch {
                try await save(&replay, in: file, &saved)
                throw error
            }
        }
        return verdict(&replay)
    }

    /// Removes what was saved, after the verdict is durable.
    func forget() {
        for suffix in ["", "-journal", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
    }

    private func verdict(_ replay: inout LogReplay) -> Verdict {
        let passed = PassedSize(
            size: replay.state.size,
            root: replay.tree.root,
            outcomeRoot: replay.state.outcomeRoot,
            stateRoot: replay.stateRoot()
        )
        if replay.state.ledgerID != configuration.ledgerID {
            return .different(outcomeRoot: passed.outcomeRoot, stateRoot: passed.stateRoot, "genesis")
        }
        guard let difference = passed.difference(from: origin.note.attestation) else { return .same }
        return .different(outcomeRoot: passed.outcomeRoot, stateRoot: passed.stateRoot, difference)
    }

    /// The replay as it was saved, if it is one of the trusted log; else from the first entry.
    private func resumed(_ file: AuditStore) async throws -> LogReplay {
        guard let replay = try file.load() else { return LogReplay() }
        guard replay.state.size <= origin.note.size else {
            throw AuditStoreError("\(path) went further than the snapshot; move it away to verify from the first entry")
        }
        var range = CompactRange()
        for hash in try await store.leafHashes(size: replay.state.size) { range.append(hash) }
        guard range == replay.tree else {
            throw AuditStoreError("\(path) is of another log; move it away to verify from the first entry")
        }
        return replay
    }

    private func save(_ replay: inout LogReplay, in file: AuditStore, _ saved: inout UInt64) async throws {
        guard replay.state.size > saved else { return }
        try await file.save(await file.step(&replay))
        saved = replay.state.size
    }

    /// The leaves of the trusted tree, asked for until a source has them.
    private func leaves(_ index: UInt64, width: Int) async throws -> (leaves: [[UInt8]], hashes: [Digest]) {
        let hashes = Array(try await store.leafHashes(tile: index).prefix(width))
        guard hashes.count == width else {
            throw TrustStoreError(.corrupt, "the trust store lacks leaf hashes of tile \(index)")
        }
        return (try await follower.client.leaves(bundle: index, provenBy: hashes), hashes)
    }
}
