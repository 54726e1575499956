import Contracts
import Foundation

/// Verifies and folds a whole log: tiles against the checkpoint, bundles against the tiles, then the fold in log order.
///
/// Signatures are verified ahead on all cores; at most `window` bundles are in memory.
enum LogAudit {
    /// Bundles that are fetched and verified ahead of the fold: some 0.3 s of one core, so that it has work while the fold hands
    /// a step to its store.
    private static var window: Int { max(16, 2 * ProcessInfo.processInfo.activeProcessorCount + 2) }

    /// Parses the checkpoint and proves the leaves.
    static func leaves(from source: any LogSource, rootSizes: Set<UInt64> = []) async throws -> VerifiedLeaves {
        guard let bytes = try await source.checkpoint() else {
            throw AuditFailure(.noteMalformed, "there is no checkpoint")
        }
        guard let checkpoint = try? Checkpoint(parsing: bytes) else {
            throw AuditFailure(.noteMalformed, "the checkpoint is no signed note of three lines")
        }
        return try await TileAudit.run(checkpoint, from: source, rootSizes: rootSizes)
    }

    /// Folds all entries that the replay has not, or those before a fold upgrade.
    ///
    /// A replay that has folded entries must have folded exactly the first ones of this log. `observe` sees the replay
    /// before the first and after each, `afterBundle` after each bundle.
    static func fold(
        _ leaves: VerifiedLeaves,
        from source: any LogSource,
        ledgerID: Identifier,
        into replay: inout LogReplay,
        observe: (inout LogReplay, Outcome?) -> Void,
        afterBundle: (inout LogReplay) async throws -> Void = { _ in },
        progress: (UInt64) -> Void
    ) async throws {
        observe(&replay, nil)
        let first = replay.state.size
        let firstBundle = Int(first / UInt64(TilePath.fullWidth))
        let announced = AnnouncedKeys()
        try await withThrowingTaskGroup(of: (Int, Result<VerifiedBundle, any Error>).self) { group in
            var waiting: [Int: Result<VerifiedBundle, any Error>] = [:]
            var (started, folded) = (firstBundle, firstBundle)
            while folded < leaves.bundleCount {
                while started < min(folded + window, leaves.bundleCount) {
                    let (index, keys) = (started, replay.state.keyRing)
                    group.addTask { (index, await Self.load(index, of: leaves, from: source, keys: keys, announced)) }
                    started += 1
                }
                guard let (index, bundle) = try await group.next() else {
                    preconditionFailure("a bundle that was started arrives")
                }
                waiting[index] = bundle
                // A bundle that fails does so in its turn, after all entries before it were folded.
                while let bundle = waiting.removeValue(forKey: folded) {
                    let known = folded == firstBundle ? Int(first % UInt64(TilePath.fullWidth)) : 0
                    for entry in try bundle.get().entries.dropFirst(known) {
                        try fold(entry, ledgerID: ledgerID, into: &replay, observe: observe)
                        if replay.isUnsupported { return group.cancelAll() }
                    }
                    // Tasks that are under way hold the keys of a state up to a window older.
                    announced.remove(page: folded - window)
                    folded += 1
                    progress(replay.state.size)
                    try await afterBundle(&replay)
                }
            }
        }
    }

    private static func load(
        _ index: Int,
        of leaves: VerifiedLeaves,
        from source: any LogSource,
        keys: KeyRing,
        _ announced: AnnouncedKeys
    ) async -> Result<VerifiedBundle, any Error> {
        do {
            return .success(try await VerifiedBundle.load(index, of: leaves, from: source, keys: keys, announced))
        } catch {
            return .failure(error)
        }
    }

    private static func fold(
        _ entry: (parsed: ParsedEntry, leafHash: Digest, verdicts: SignatureVerdicts),
        ledgerID: Identifier,
        into replay: inout LogReplay,
        observe: (inout LogReplay, Outcome?) -> Void
    ) throws {
        if replay.state.size == 0, entry.parsed.id != ledgerID {
            throw AuditFailure(.entriesMismatch, "the first entry is not the genesis of \(ledgerID)", index: 0)
        }
        guard let outcome = replay.fold(entry.parsed, leafHash: entry.leafHash, verdicts: entry.verdicts) else {
            return
        }
        guard replay.state.ledgerID == ledgerID else {
            throw AuditFailure(.entriesMismatch, "the genesis is \(outcome.code.rawValue)", index: 0)
        }
        observe(&replay, outcome)
    }
}
