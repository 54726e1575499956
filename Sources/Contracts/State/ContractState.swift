import HashTreeCollections

/// The state of a ledger after some entries, and the fold over the next ones (sections 3 to 7).
///
/// A value: copies share their maps, so that keeping the state before a batch costs nothing. The fold reads no clock and
/// no file, never traps on any bytes, and yields the same digests from the same entries everywhere.
public struct ContractState: Sendable {
    /// What became of an entry.
    public enum Step: Hashable, Sendable {
        /// It was judged, and the state has moved on by one entry.
        case outcome(Outcome)
        /// A fold upgrade was reached: this entry and all later ones are not for this implementation.
        case unsupported
    }

    var tables = StateTables()
    var indexes = StateIndexes()

    /// Rows that changed since the last state root; nil for all rows, as long as nobody asked for a root.
    var unhashed: TreeSet<RowKey>?
    /// Rows that changed since the last `takeChanges()`; nil for all rows, as long as nobody took any.
    var unsaved: TreeSet<RowKey>?
    var tree = StateTree()

    /// The number of entries that were folded; the index of the next one.
    public internal(set) var size: UInt64 = 0

    /// The tree over the outcomes.
    public internal(set) var outcomes = CompactRange()

    /// The state before the first entry.
    public init() {}

    /// RFC 6962 root over the outcomes.
    public var outcomeRoot: Digest { outcomes.root }

    /// Marks a row whose value may have changed.
    mutating func touch(_ key: RowKey) {
        unhashed?.insert(key)
        unsaved?.insert(key)
    }

    /// The root over all rows. Costs a few hashes for each row that changed since the last call, and for each row at all in
    /// the first one; `StateHashing` does that on all cores.
    public mutating func stateRoot() -> Digest {
        if unhashed?.isEmpty != true {
            var hashing = takeHashing()
            hashing.run()
            finish(hashing)
        }
        return tree.root
    }
}

extension ContractState {
    /// The ledger id; nil before genesis.
    public var ledgerID: Identifier? { tables.ledger?.meta.ledger }

    /// What genesis fixed; nil before it.
    public var meta: LedgerMeta? { tables.ledger?.meta }

    /// Ledger time; 0 before genesis.
    public var now: Timestamp { tables.ledger?.clock.time ?? 0 }

    /// The number of effective ticks.
    public var ticks: Int64 { tables.ledger?.clock.ticks ?? 0 }

    /// The keys that sign checkpoints now; none before genesis.
    public var ledgerKeys: [VerifierKey] { tables.ledger?.keys.keys ?? [] }

    /// The witness policy in force; nil before genesis.
    public var policy: WitnessPolicy? { tables.ledger?.policy.policy }

    /// The text of the witness policy in force; empty before genesis.
    public var policyText: String { policy?.text ?? "" }

    /// The keys of which a threshold decides about the ledger; nil before genesis.
    public var root: Quorum? { tables.ledger?.root.quorum }

    /// Version of the root keys; 0 before genesis.
    public var rootVersion: Int64 { tables.ledger?.root.version ?? 0 }

    /// Version of the ledger keys; 0 before genesis.
    public var ledgerKeysVersion: Int64 { tables.ledger?.keys.version ?? 0 }

    /// Version of the policy; 0 before genesis.
    public var policyVersion: Int64 { tables.ledger?.policy.version ?? 0 }

    /// Who may attest states, ascending by twin.
    public var auditors: [Auditor] { tables.ledger?.policy.auditors ?? [] }

    /// Of how many auditors a snapshot needs attestations; 0 refuses all snapshots.
    public var auditorQuorum: Int64 { tables.ledger?.policy.auditorQuorum ?? 0 }

    /// Twins that may settle bills.
    public var billing: [Identifier] { tables.ledger?.policy.billing ?? [] }

    /// The announced change of the fold.
    public var upgrade: ProtocolUpgradeBody? { tables.ledger?.upgrade }

    /// Whether a fold upgrade was reached, so that no further entry is folded.
    public var isStopped: Bool {
        guard let ledger = tables.ledger, let upgrade = ledger.upgrade else { return false }
        return ledger.clock.time >= upgrade.activate
    }
}
