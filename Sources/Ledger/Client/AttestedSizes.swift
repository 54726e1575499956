internal import Contracts

/// What this node computed at one size, to be compared with what auditors attest (protocol.md 10.2 step 10).
struct PassedSize: Sendable, Hashable {
    var size: UInt64
    var root: Digest
    var outcomeRoot: Digest
    var stateRoot: Digest

    /// What differs from an attestation, in words; nil if nothing does.
    func difference(from attestation: Attestation) -> String? {
        var differences: [String] = []
        if attestation.root != root { differences.append("log root") }
        if attestation.outcomeRoot != outcomeRoot { differences.append("outcome root") }
        if attestation.stateRoot != stateRoot { differences.append("state root") }
        return differences.isEmpty ? nil : differences.joined(separator: " and ")
    }
}

/// The sizes within one batch at which an entry of the same batch attests a state, and what the fold gives there.
///
/// Bundles above the memory budget are not looked through: of sizes inside them only the roots of log and outcomes are
/// compared, as a replay checks the rest.
struct AttestedSizes {
    /// Sizes still to come, ascending.
    private var sizes: [UInt64]
    private var edge: CompactRange
    private(set) var passed: [PassedSize] = []

    init(in entries: FetchedEntries, after edge: CompactRange) {
        self.edge = edge
        var found: Set<UInt64> = []
        for bundle in entries.bundles {
            for leaf in bundle.leaves ?? [] where Self.mayAttest(leaf) {
                guard case .entry(let entry) = ParsedEntry(leaf: leaf), case .stateAttest(let body) = entry.body,
                    let size = UInt64(exactly: body.size), size > edge.size, size < entries.edge.size
                else { continue }
                found.insert(size)
            }
        }
        sizes = found.sorted()
    }

    /// The next size at which to stop.
    var next: UInt64? { sizes.first }

    /// Takes what the fold gave for the next leaves, which reach no further than `next`.
    mutating func note(_ leaves: some Sequence<[UInt8]>, _ state: inout ContractState) {
        guard let next = sizes.first else { return }
        for leaf in leaves { edge.append(MerkleTree.leafHash(leaf)) }
        guard state.size == next else { return }
        sizes.removeFirst()
        passed.append(
            PassedSize(size: next, root: edge.root, outcomeRoot: state.outcomeRoot, stateRoot: state.stateRoot())
        )
    }

    private static let ending = Array(#""type":"state.attest","v":1}"#.utf8)

    /// Whether the payload ends like one of `state.attest`: its last members are `type` and `v`.
    private static func mayAttest(_ leaf: [UInt8]) -> Bool {
        let start = #"{"payload":""#.utf8.count
        var end = start
        while end < leaf.count, leaf[end] != UInt8(ascii: "\"") { end += 1 }
        guard end < leaf.count, end - start >= 44, let tail = Base64.decode(leaf[(end - 44)..<end]) else {
            return false
        }
        return Array(tail.suffix(ending.count)) == ending
    }
}

extension LedgerFollower {
    /// State notes that are read in one round; a ledger keeps a few snapshots.
    private static let mostNotes = 4

    /// Step 10 for attestations that took effect: what an auditor vouches for is compared with what was computed here.
    func compareAttestations(_ attestations: [(twin: Identifier, body: Attestation)]) async throws {
        for (twin, body) in attestations {
            guard let size = UInt64(exactly: body.size), let difference = try await difference(from: body) else {
                continue
            }
            try await set(
                alarm: .stateDivergence,
                "auditor \(twin.hex) attests another \(difference) at size \(size) than was computed here; "
                    + "replay the log with `gw-node audit replay` and compare"
            )
        }
    }

    /// What differs from an attestation of a passed size, in words. Of a size that no step ended at, or whose roots are not
    /// kept any more, the roots of log and outcomes are computed from the store; its state root is not known.
    private func difference(from attestation: Attestation) async throws -> String? {
        guard let size = UInt64(exactly: attestation.size), size > 0, size <= position.size else { return nil }
        if let passed = try await store.passed(size) { return passed.difference(from: attestation) }
        var log = CompactRange()
        for hash in try await store.leafHashes(size: size) { log.append(hash) }
        return PassedSize(
            size: size,
            root: log.root,
            outcomeRoot: try await store.outcomeRoot(size: size) ?? attestation.outcomeRoot,
            stateRoot: attestation.stateRoot
        ).difference(from: attestation)
    }

    /// Step 10 for the state notes that a source serves with its snapshots. Notes of larger sizes say nothing yet.
    func compareStateNotes(from source: LedgerClient.Source) async throws {
        let auditors = state.auditors
        guard !auditors.isEmpty, position.size > 0 else { return }
        let sizes: [UInt64]
        do throws(LedgerClientError) {
            sizes = try await client.snapshotSizes(from: source).lines.filter(\.isAttested).map(\.size)
        } catch {
            throw LedgerRefusal(error)
        }
        for size in sizes.prefix(Self.mostNotes) where size <= position.size && !comparedNotes.contains(size) {
            let bytes: [UInt8]
            do throws(LedgerClientError) {
                bytes = try await client.snapshotFile(.manifest(size), from: source)
            } catch {
                throw LedgerRefusal(error)
            }
            guard let note = try? SignedStateNote(parsing: bytes), note.state.size == size,
                note.state.origin.utf8.elementsEqual(position.origin.utf8),
                let attesters = try? note.attesters(among: auditors), let first = attesters.first
            else { continue }
            comparedNotes.insert(size)
            guard let difference = try await difference(from: note.state.attestation) else { continue }
            try await set(
                alarm: .stateDivergence,
                "auditor \(first.twin.hex) attests another \(difference) at size \(size) in a state note than was "
                    + "computed here; replay the log with `gw-node audit replay` and compare"
            )
        }
    }
}
