internal import Contracts

/// Under which keys and policies the next checkpoint has to be valid (protocol.md 11). Pure.
///
/// Those in force, and for 14 days of ledger time also those that were replaced: who follows the ledger and has not
/// seen the change yet still judges by the old ones. It is a function of the log, so a restart finds the same.
struct SigningDuties: Sendable {
    /// How long replaced keys and policies are honoured, in seconds.
    static let overlap: Int64 = 1_209_600

    private(set) var keys: [VerifierKey] = []
    private(set) var policies: [WitnessPolicy] = []

    /// - Parameter now: ledger time.
    init(chain: [KeyChange], now: Timestamp) {
        var keySets: [(value: [VerifierKey], until: Timestamp)] = []
        var policies: [(value: WitnessPolicy, until: Timestamp)] = []
        for change in chain {
            guard case .entry(let entry) = ParsedEntry(leaf: change.leaf) else { continue }
            let end = change.time + Self.overlap
            switch entry.body {
            case .genesis(let body):
                keySets.append((body.keys, .max))
                policies.append((body.policy, .max))
            case .ledgerKeys(let body):
                if !keySets.isEmpty { keySets[keySets.count - 1].until = end }
                keySets.append((body.keys, .max))
            case .policySet(let body):
                if !policies.isEmpty { policies[policies.count - 1].until = end }
                policies.append((body.policy, .max))
            default: break
            }
        }
        for set in keySets.reversed() where set.until > now {
            for key in set.value where !keys.contains(key) { keys.append(key) }
        }
        for policy in policies.reversed() where policy.until > now {
            if !self.policies.contains(where: { $0.quorum == policy.value.quorum }) {
                self.policies.append(policy.value)
            }
        }
    }
}
