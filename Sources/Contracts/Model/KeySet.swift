/// Public keys, ascending, with their key ids.
public struct KeySet: Hashable, Sendable {
    /// The keys, strictly ascending as bytes.
    public let keys: [PublicKey]

    /// `ids[i]` is the key id of `keys[i]`. These are not ascending.
    public let ids: [KeyID]

    /// Sorts the keys and drops doubles.
    public init(_ keys: [PublicKey]) {
        self.init(ascending: Set(keys).sorted())
    }

    init(ascending keys: [PublicKey]) {
        self.keys = keys
        ids = keys.map(\.keyID)
    }

    /// The number of keys.
    public var count: Int { keys.count }

    /// Whether a key of the set has this id.
    public func contains(_ id: KeyID) -> Bool { ids.contains(id) }

    /// The key with this id.
    public subscript(id: KeyID) -> PublicKey? {
        ids.firstIndex(of: id).map { keys[$0] }
    }
}

/// Keys of which a number must sign.
public struct Quorum: Hashable, Sendable {
    public let keys: KeySet

    /// How many of the keys must sign, 1...keys.count.
    public let threshold: Int64

    public init(_ keys: [PublicKey], threshold: Int64 = 1) {
        self.keys = KeySet(keys)
        self.threshold = threshold
    }

    /// Reads the members `keys` and `threshold`.
    init(reading reader: inout ObjectReader, atMost limit: Int) throws(SchemaViolation) {
        keys = KeySet(ascending: try reader.required("keys").publicKeys(1...limit))
        threshold = try reader.required("threshold").integer(1...Int64(keys.count))
    }

    init(reading value: JSONValue, atMost limit: Int) throws(SchemaViolation) {
        var reader = try value.members()
        try self.init(reading: &reader, atMost: limit)
        try reader.end()
    }

    var json: JSONObject { ["keys": .keys(keys.keys), "threshold": .integer(threshold)] }
}

/// The keys of a twin: owner keys decide, operator keys act.
public struct TwinKeys: Hashable, Sendable, SchemaValue {
    public let owner: Quorum
    public let operators: KeySet

    public init(owner: [PublicKey], threshold: Int64 = 1, operators: [PublicKey] = []) {
        self.owner = Quorum(owner, threshold: threshold)
        self.operators = KeySet(operators)
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        operators = KeySet(ascending: try reader.required("operator").publicKeys(0...5))
        owner = try Quorum(reading: try reader.required("owner"), atMost: 5)
        try reader.end()
        for key in operators.keys where owner.keys.keys.contains(key) { throw SchemaViolation() }
    }

    var json: JSONValue { .object(["operator": .keys(operators.keys), "owner": .object(owner.json)]) }

    /// Whether an owner or an operator key has this id.
    public func contains(_ id: KeyID) -> Bool { owner.keys.contains(id) || operators.contains(id) }

    /// The owner or operator key with this id.
    public subscript(id: KeyID) -> PublicKey? { owner.keys[id] ?? operators[id] }
}
