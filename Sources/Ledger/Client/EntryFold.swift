internal import Contracts
internal import Foundation

/// Folds proven entries onto a state, page by page, with parsing and signatures computed in parallel.
///
/// The state is a copy: nothing of a batch that is stopped takes effect.
struct EntryFold: Sendable {
    /// A tick may lie this many seconds ahead of the quorum time of its checkpoint (protocol.md 10.2 step 8).
    static let tickTolerance: Timestamp = 300
    /// Below this many entries a page is not worth a second task.
    private static let smallestShare = 16

    /// The caller takes the root and the changes out of it at the end.
    var state: ContractState
    /// Position in the key chain.
    private(set) var keyset: UInt64
    /// Leaf hashes of the entries that moved it, in order.
    private(set) var chain: [Digest] = []
    /// Every set of ledger keys that this batch put in force, in order.
    private(set) var keySets: [[VerifierKey]] = []
    /// Attestations of auditors that took effect, in order.
    private(set) var attestations: [(twin: Identifier, body: Attestation)] = []
    /// Why the batch must not be applied.
    private(set) var stop: VerificationResult?
    private(set) var stopMessage = ""
    private let quorumTime: Timestamp

    init(state: ContractState, keyset: UInt64, quorumTime: Timestamp) {
        self.state = state
        self.keyset = keyset
        self.quorumTime = quorumTime
    }

    /// Folds the next entries, up to a stop, and returns what came of each.
    mutating func append(prepared: some Sequence<(ParsedEntry, SignatureVerdicts)>) -> [Outcome] {
        var outcomes: [Outcome] = []
        for (entry, verdicts) in prepared where stop == nil {
            let index = state.size
            switch state.apply(entry, verdicts: verdicts) {
            case .unsupported:
                stop = .unsupported
                stopMessage =
                    "entry \(index) needs a later fold; install a version of gw-node that has it, "
                    + "the last verified state stays in force"
            case .outcome(let outcome):
                outcomes.append(outcome)
                guard outcome.code == .ok, case .entry(let accepted) = entry else { continue }
                note(accepted, index)
            }
        }
        return outcomes
    }

    private mutating func note(_ entry: Entry, _ index: UInt64) {
        switch entry.body {
        case .tick where state.now > quorumTime + Self.tickTolerance:
            stop = .timeJump
            stopMessage =
                "the tick at entry \(index) sets the time to \(state.now), "
                + "\(state.now - quorumTime) s ahead of the quorum time of its checkpoint"
        case .rootRotate, .ledgerKeys, .policySet, .protocolUpgrade:
            keyset += 1
            chain.append(MerkleTree.leafHash(entry.envelope.leaf))
            if case .ledgerKeys(let body) = entry.body { keySets.append(body.keys) }
        case .stateAttest(let body):
            if let twin = entry.account { attestations.append((twin, body)) }
        default:
            break
        }
    }

    /// Parses the leaves and verifies their signatures under the keys the state knows, on all cores.
    static func prepare(
        _ leaves: [[UInt8]],
        _ state: ContractState
    ) async -> [(ParsedEntry, SignatureVerdicts)] {
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let share = max(smallestShare, (leaves.count + cores - 1) / max(1, cores))
        guard leaves.count > share else { return leaves.map { prepare($0, state) } }
        return await withTaskGroup(of: (Int, [(ParsedEntry, SignatureVerdicts)]).self) { group in
            for start in stride(from: 0, to: leaves.count, by: share) {
                let slice = leaves[start..<min(start + share, leaves.count)]
                group.addTask { (start, slice.map { prepare($0, state) }) }
            }
            var shares: [Int: [(ParsedEntry, SignatureVerdicts)]] = [:]
            for await (start, prepared) in group { shares[start] = prepared }
            return shares.sorted { $0.key < $1.key }.flatMap(\.value)
        }
    }

    private static func prepare(_ leaf: [UInt8], _ state: ContractState) -> (ParsedEntry, SignatureVerdicts) {
        let entry = ParsedEntry(leaf: leaf)
        return (entry, SignatureVerdicts.compute(for: entry, keys: state.publicKey))
    }
}
