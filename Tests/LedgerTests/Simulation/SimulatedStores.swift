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

    func leafHashes(size: UInt64) async throws -> [Digest] {
        rows.withLockedValue { Array($0.leaves.prefix(Int(size))) }
    }

    func prepare(_ page: TrustStore.Page, beyond position: TrustedPosition) async throws {
        throw TrustStoreError(.conflict, "the simulation's steps are of one page")
    }

    func advance(
        from previous: TrustedPosition,
        to position: TrustedPosition,
        _ changes: [StateChange],
        _ last: TrustStore.Page,
        keys: [VerifierKey],
        passed: [PassedSize]
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

/// Folds that were done before: the fold is a pure function of state and leaves, and every watcher of a simulation asks for
/// the same few.
final class FoldMemo: Sendable {
    private struct Key: Hashable {
        var before: Digest
        var leaves: Digest
    }

    private let known = NIOLockedValueBox<[Key: (EntryFold, [Outcome])]>([:])

    var step: EntryFold.Step {
        { [self] fold, leaves in
            let hashes = leaves.flatMap { Digest.sha256($0).bytes }
            let key = Key(before: fold.state.stateRoot(), leaves: .sha256(hashes))
            if let (after, outcomes) = known.withLockedValue({ $0[key] }) {
                fold = after
                return outcomes
            }
            let outcomes = await fold.append(leaves)
            _ = fold.state.stateRoot()
            let after = fold
            known.withLockedValue { $0[key] = (after, outcomes) }
            return outcomes
        }
    }
}
