import HashTreeCollections

/// A row that a store must write, or remove when it has no value.
public struct StateChange: Hashable, Sendable {
    public var key: String
    /// The canonical bytes; nil when the row is gone.
    public var value: [UInt8]?

    public init(key: String, value: [UInt8]?) {
        self.key = key
        self.value = value
    }
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
    /// The bytes of a chunk are not its 256 buckets.
    case chunk(Int)
}

extension ContractState {
    /// All rows, ascending by the bytes of their keys.
    public var rows: [(key: String, value: [UInt8])] {
        tables.keys.sorted().compactMap { key in
            tables.value(of: key).map { (String(decoding: key.bytes, as: UTF8.self), $0.canonical) }
        }
    }

    /// The value of the row with this key; nil when there is none.
    public func row(_ key: String) -> JSONValue? { RowKey(key).flatMap { tables.value(of: $0) } }

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
        var restoration = Restoration()
        for (key, value) in rows { try restore(TypedRow(key: key, value: value), &restoration) }
        try finish(restoration)
        finish(restoredTo: size, outcomes)
    }

    /// Notes from here on which rows change: until now all were on their way from the store.
    mutating func finish(restoredTo size: UInt64, _ outcomes: CompactRange) {
        // A store without rows needs no list of those that change: all of them will.
        unsaved = tables.ledger == nil ? nil : []
        self.size = size
        self.outcomes = outcomes
    }

    /// What the rows of a state need besides themselves, until all are there.
    struct Restoration {
        fileprivate var ledger = StoredLedgerRows()
        fileprivate var contracts: [(Identifier, ContractRow)] = []
    }

    /// Sets one of the rows of a whole state on the empty one, in any order; `finish` sets the rest.
    mutating func restore(_ row: TypedRow, _ restoration: inout Restoration) throws(StateError) {
        switch row {
        case .ledger(let key, let value):
            do {
                try restoration.ledger.read(key, value)
            } catch {
                throw .value(key: String(decoding: key.bytes, as: UTF8.self))
            }
            touch(key)
        case .contract(let id, let row): restoration.contracts.append((id, row))
        case .twin(let id, let twin): set(twin: id, to: twin)
        case .lane(let lane, let sequence): set(lane: lane, to: sequence)
        case .delegate(let twin, let key, let delegation): set(delegate: key, of: twin, to: delegation)
        case .farm(let id, let farm): set(farm: id, to: farm)
        case .node(let id, let node): set(node: id, to: node)
        case .name(let id, let row): set(name: id, to: row)
        case .status(let contract, let node, let row): set(status: row, contract: contract, node: node)
        case .usage(let contract, let node, let row): set(usage: row, contract: contract, node: node)
        case .bill(let contract, let row): set(bill: row, contract: contract)
        case .attest(let twin, let row): set(attestation: row, of: twin)
        case .evidence(let digest, let row): set(evidence: digest, to: row)
        }
    }

    mutating func finish(_ restoration: Restoration) throws(StateError) {
        if let rows = try restoration.ledger.complete() { set(ledger: rows) }
        // Leases and deadlines of a contract depend on limits, nodes and status rows, so contracts come last.
        for (id, row) in restoration.contracts { set(contract: id, to: row) }
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

    /// Takes a row of the ledger.
    mutating func read(_ key: RowKey, _ value: JSONValue) throws(SchemaViolation) {
        switch key {
        case .meta: meta = try LedgerMeta(reading: value)
        case .time: clock = try LedgerClock(reading: value)
        case .root: root = try RootRow(reading: value)
        case .keys: keys = try LedgerKeysRow(reading: value)
        case .policy: policy = try PolicySetBody(reading: value, version: 1)
        case .upgrade: upgrade = try ProtocolUpgradeBody(reading: value)
        default: throw SchemaViolation()
        }
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
