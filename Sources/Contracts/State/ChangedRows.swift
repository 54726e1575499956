import HashTreeCollections

/// Rows that changed, ascending by key. Those that were not encoded for a state root are encoded when they are asked for,
/// so that a store can write a million of them without a second copy of the state in memory.
public struct ChangedRows: Sequence, Sendable {
    private let encoded: [EncodedRows]
    private let keys: [RowKey]
    private let tables: StateTables

    fileprivate init(_ keys: [RowKey], _ tables: StateTables) {
        encoded = []
        self.keys = keys
        self.tables = tables
    }

    fileprivate init(_ encoded: [EncodedRows]) {
        self.encoded = encoded
        keys = []
        tables = StateTables()
    }

    /// How many rows changed.
    public var count: Int { encoded.reduce(keys.count) { $0 + $1.rows.count } }

    public func makeIterator() -> some IteratorProtocol<StateChange> {
        let rows = encoded.lazy.flatMap(\.rows).map { StateChange($0.key, $0.value) }
        let others = keys.lazy.map { StateChange($0.bytes, tables.value(of: $0)?.canonical) }
        return ChangedRowsIterator(rows.makeIterator(), others.makeIterator())
    }
}

/// One sequence after the other.
private struct ChangedRowsIterator<First: IteratorProtocol<StateChange>, Second: IteratorProtocol<StateChange>>:
    IteratorProtocol
{
    private var first: First
    private var second: Second

    init(_ first: First, _ second: Second) {
        self.first = first
        self.second = second
    }

    mutating func next() -> StateChange? { first.next() ?? second.next() }
}

extension StateChange {
    fileprivate init(_ key: [UInt8], _ value: [UInt8]?) {
        self.init(key: String(decoding: key, as: UTF8.self), value: value)
    }
}

extension ContractState {
    /// Rows that changed since they were last taken; the store that writes them holds this state again.
    ///
    /// - Parameter hashing: what was hashed just before; its rows are not encoded again if they are those that changed.
    public mutating func takeChangedRows(hashedBy hashing: StateHashing? = nil) -> ChangedRows {
        // A state without rows needs no list of those that change: all of them will.
        defer { if unsaved != nil || tables.ledger != nil { unsaved = [] } }
        if let hashing, hashing.coversUnsaved { return ChangedRows(hashing.slices) }
        return ChangedRows(unsaved?.sorted() ?? tables.keys, tables)
    }

    /// The same as a list, for a store that needs them more than once.
    public mutating func takeChanges() -> [StateChange] { Array(takeChangedRows()) }
}

/// The order of the keys' bytes: hexadecimal digits are ordered as the bytes that they stand for.
extension RowKey: Comparable {
    static func < (left: RowKey, right: RowKey) -> Bool {
        let (a, b) = (left.parts, right.parts)
        if a.kind != b.kind { return a.kind < b.kind }
        if a.first != b.first { return a.first < b.first }
        return a.second < b.second
    }

    /// Place of the key's beginning among all beginnings in the order of their bytes, and the ids after it.
    private var parts: (kind: Int, first: Digest, second: Digest) {
        switch self {
        case .attest(let twin): (0, twin, .zero)
        case .bill(let contract): (1, contract, .zero)
        case .contract(let id): (2, id, .zero)
        case .delegate(let twin, let key): (3, twin, key)
        case .evidence(let digest): (4, digest, .zero)
        case .farm(let id): (5, id, .zero)
        case .lane(let lane): (6, lane.account, lane.key)
        case .keys: (7, .zero, .zero)
        case .meta: (8, .zero, .zero)
        case .policy: (9, .zero, .zero)
        case .root: (10, .zero, .zero)
        case .time: (11, .zero, .zero)
        case .upgrade: (12, .zero, .zero)
        case .name(let id): (13, id, .zero)
        case .node(let id): (14, id, .zero)
        case .status(let contract, let node): (15, contract, node)
        case .twin(let id): (16, id, .zero)
        case .usage(let contract, let node): (17, contract, node)
        }
    }
}
