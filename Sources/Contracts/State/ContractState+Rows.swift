import HashTreeCollections

/// A row that a store must write, or remove when it has no value.
public struct StateChange: Hashable, Sendable {
    public var key: String
    /// The canonical bytes; nil when the row is gone.
    public var value: [UInt8]?
}

/// Why rows are no state.
public enum StateError: Error, Hashable, Sendable {
    /// The key is none of section 3.1.
    case key(String)
    /// The value is not a canonical value of its key's shape.
    case value(key: String)
    /// Some but not all of the rows that every ledger has are there.
    case ledgerRows
    /// The outcomes are not as many as the entries.
    case size
}

extension ContractState {
    /// Rows that changed since the last call, ascending by key; the store that writes them holds this state again.
    public mutating func takeChanges() -> [StateChange] {
        let changed = unsaved.map(\.self)
        unsaved = []
        return Self.ascending(changed).map { key, bytes in
            StateChange(key: String(decoding: bytes, as: UTF8.self), value: tables.value(of: key)?.canonical)
        }
    }

    /// All rows, ascending by the bytes of their keys.
    public var rows: [(key: String, value: [UInt8])] {
        Self.ascending(tables.keys).compactMap { key, bytes in
            tables.value(of: key).map { (String(decoding: bytes, as: UTF8.self), $0.canonical) }
        }
    }

    private static func ascending(_ keys: [RowKey]) -> [(RowKey, [UInt8])] {
        keys.map { ($0, $0.bytes) }.sorted { $0.1.lexicographicallyPrecedes($1.1) }
    }

    /// The state whose rows, size and outcomes were stored, in any order of rows.
    ///
    /// The rows are trusted to come from a fold; only their form is checked. Compare `stateRoot()` where that matters.
    public init(
        rows: some Sequence<(key: String, value: [UInt8])>,
        size: UInt64,
        outcomes: CompactRange
    ) throws(StateError) {
        self.init()
        guard outcomes.size == size else { throw .size }
        var ledger = StoredLedgerRows()
        var contracts: [(Identifier, ContractRow)] = []
        for (text, bytes) in rows {
            guard let key = RowKey(text) else { throw .key(text) }
            do {
                let value = try JSONValue(canonical: bytes)
                if case .contract(let id) = key {
                    contracts.append((id, try ContractRow(reading: value)))
                } else if try !ledger.read(key, value) {
                    try restore(key, value)
                }
            } catch {
                throw .value(key: text)
            }
            unhashed.insert(key)
        }
        self.size = size
        self.outcomes = outcomes
        if let rows = try ledger.complete() { set(ledger: rows) }
        // Leases and deadlines of a contract depend on limits, nodes and status rows, so contracts come last.
        for (id, row) in contracts { set(contract: id, to: row) }
        unsaved = []
    }

    private mutating func restore(_ key: RowKey, _ value: JSONValue) throws(SchemaViolation) {
        switch key {
        case .meta, .time, .root, .keys, .policy, .upgrade, .contract:
            throw SchemaViolation()
        case .twin(let id):
            set(twin: id, to: try Twin(reading: value))
        case .lane(let lane):
            var reader = try value.members()
            set(lane: lane, to: try reader.required("seq").integer(1...largestInteger))
            try reader.end()
        case .delegate(let twin, let key):
            set(delegate: key, of: twin, to: try Delegation(reading: value))
        case .farm(let id):
            set(farm: id, to: try Farm(reading: value))
        case .node(let id):
            set(node: id, to: try Node(reading: value))
        case .name(let id):
            set(name: id, to: try NameRow(reading: value))
        case .status(let contract, let node):
            set(status: try StatusRow(reading: value), contract: contract, node: node)
        case .usage(let contract, let node):
            set(usage: try UsageRow(reading: value), contract: contract, node: node)
        case .bill(let contract):
            set(bill: try BillRow(reading: value), contract: contract)
        case .attest(let twin):
            set(attestation: try Attestation(reading: value), of: twin)
        case .evidence(let digest):
            set(evidence: digest, to: try EvidenceRow(reading: value))
        }
    }
}

/// The rows `ledger/...` of a store, until all are there.
private struct StoredLedgerRows {
    var meta: LedgerMeta?
    var clock: LedgerClock?
    var root: RootRow?
    var keys: LedgerKeysRow?
    var policy: PolicySetBody?
    var upgrade: ProtocolUpgradeBody?

    /// Takes a row of the ledger; false for any other.
    mutating func read(_ key: RowKey, _ value: JSONValue) throws(SchemaViolation) -> Bool {
        switch key {
        case .meta: meta = try LedgerMeta(reading: value)
        case .time: clock = try LedgerClock(reading: value)
        case .root: root = try RootRow(reading: value)
        case .keys: keys = try LedgerKeysRow(reading: value)
        case .policy: policy = try PolicySetBody(reading: value, version: 1)
        case .upgrade: upgrade = try ProtocolUpgradeBody(reading: value)
        default: return false
        }
        return true
    }

    func complete() throws(StateError) -> LedgerRows? {
        if let meta, let clock, let root, let keys, let policy {
            return LedgerRows(meta: meta, clock: clock, root: root, keys: keys, policy: policy, upgrade: upgrade)
        }
        guard meta == nil, clock == nil, root == nil, keys == nil, policy == nil, upgrade == nil else {
            throw .ledgerRows
        }
        return nil
    }
}
