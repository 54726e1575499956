import Contracts
import NIOConcurrencyHelpers

@testable import Ledger

/// What a witness remembers, in memory.
final class WitnessMemory: WitnessStore {
    private struct Rows {
        var latest: WitnessedCheckpoint?
        var evidence: [[UInt8]] = []
    }

    private let rows: NIOLockedValueBox<Rows>

    init(_ latest: WitnessedCheckpoint? = nil) { rows = NIOLockedValueBox(Rows(latest: latest)) }

    func update<Result: Sendable>(
        origin: String,
        _ decide: @escaping @Sendable (WitnessedCheckpoint?) -> (row: WitnessedCheckpoint?, result: Result)
    ) async throws -> Result {
        rows.withLockedValue { rows in
            let (row, result) = decide(rows.latest)
            if let row { rows.latest = row }
            return result
        }
    }

    func latest(origin: String) async throws -> WitnessedCheckpoint? { rows.withLockedValue { $0.latest } }

    func keep(evidence: [UInt8]) async throws -> Bool {
        rows.withLockedValue { $0.evidence.append(evidence) }
        return true
    }

    func evidence() async throws -> [[UInt8]] { rows.withLockedValue { $0.evidence } }
}

/// What a watcher trusts, in memory; refuses what the real store refuses.
final class FollowerMemory: FollowerStore {
    private struct Rows {
        var leaves: [Digest] = []
        var passed: [UInt64: PassedSize] = [:]
        var evidence: [ForkEvidence] = []
    }

    private let rows = NIOLockedValueBox(Rows())

    init(leaves: [Digest] = []) { rows.withLockedValue { $0.leaves = leaves } }

    var evidence: [ForkEvidence] { rows.withLockedValue { $0.evidence } }

    var evidenceCount: Int { evidence.count }

    func outcomeRoot(size: UInt64) async throws -> Digest? { nil }

    func leafHashes(size: UInt64) async throws -> [Digest] {
        rows.withLockedValue { Array($0.leaves.prefix(Int(size))) }
    }

    func prepare(_ page: TrustStore.Page, beyond position: TrustedPosition) async throws {
        throw TrustStoreError(.conflict, "the simulation's steps are of one page")
    }

    func advance(
        from previous: TrustedPosition,
        to position: TrustedPosition,
        _ changes: some Sequence<StateChange> & Sendable,
        _ last: TrustStore.Page,
        keys: [VerifierKey],
        passed: [PassedSize],
        begunWith origin: SnapshotOrigin?
    ) async throws {
        try rows.withLockedValue { rows in
            guard position.size > previous.size, last.start == previous.size, rows.leaves.count == Int(previous.size)
            else {
                throw TrustStoreError(.conflict, "a step from \(previous.size) to \(position.size) is none forward")
            }
            rows.leaves += last.leaves
            for size in passed { rows.passed[size.size] = size }
        }
    }

    func renew(from previous: TrustedPosition, to position: TrustedPosition) async throws {
        guard position.size == previous.size, position.root == previous.root else {
            throw TrustStoreError(.conflict, "size \(position.size) cannot get another root")
        }
    }

    func keep(alarm code: LedgerAlarm.Code, _ message: String?, at time: Timestamp) async throws {}

    func passed(_ size: UInt64) async throws -> PassedSize? { rows.withLockedValue { $0.passed[size] } }

    func keep(_ evidence: ForkEvidence) throws -> String {
        rows.withLockedValue { $0.evidence.append(evidence) }
        return "memory"
    }
}

/// Entries that were parsed and folds that were done before: both are pure functions, and every watcher of a simulation asks
/// for the same few.
final class FoldMemo: Sendable {
    private struct Key: Hashable {
        var before: Digest
        var leaves: [String]
    }

    /// By the leaf, which is text.
    private let prepared = NIOLockedValueBox<[String: EntryEngine.Prepared]>([:])
    private let folded = NIOLockedValueBox<[Key: (EntryFold, [Outcome])]>([:])

    var engine: EntryEngine {
        EntryEngine(
            prepare: { [self] leaves, page, keys, announced in
                leaves.map { leaf in
                    let text = String(decoding: leaf, as: UTF8.self)
                    if let known = prepared.withLockedValue({ $0[text] }) { return known }
                    let entry = EntryEngine.standard.prepare([leaf], page, keys, announced)[0]
                    prepared.withLockedValue { $0[text] = entry }
                    return entry
                }
            },
            fold: { [self] fold, leaves, entries in
                let key = Key(
                    before: fold.state.stateRoot(),
                    leaves: leaves.map { String(decoding: $0, as: UTF8.self) }
                )
                if let (after, outcomes) = folded.withLockedValue({ $0[key] }) {
                    fold = after
                    return outcomes
                }
                let outcomes = fold.append(prepared: entries)
                _ = fold.state.stateRoot()
                let after = fold
                folded.withLockedValue { $0[key] = (after, outcomes) }
                return outcomes
            }
        )
    }
}
