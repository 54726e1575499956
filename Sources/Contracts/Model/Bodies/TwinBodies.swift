/// Body of `twin.create`.
public struct TwinCreateBody: Sendable {
    public var keys: TwinKeys

    public init(keys: TwinKeys) { self.keys = keys }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        keys = try TwinKeys(reading: try reader.required("keys"))
        try reader.end()
    }

    var json: JSONValue { .object(["keys": keys.json]) }
}

/// Body of `twin.keys`: other keys for the twin.
public struct TwinKeysBody: Sendable {
    public var keys: TwinKeys
    public var version: Int64

    public init(keys: TwinKeys, version: Int64) {
        self.keys = keys
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        keys = try TwinKeys(reading: try reader.required("keys"))
        version = try reader.required("version").integer(2...largestInteger)
        try reader.end()
    }

    var json: JSONValue { .object(["keys": keys.json, "version": .integer(version)]) }
}

/// Body of `twin.delegate`, and the row `delegate/<twin>/<keyid>`: a key with a part of the twin's powers.
public struct Delegation: Hashable, Sendable {
    /// Contracts that the key may update and cancel; nil allows all.
    public var contracts: [Identifier]?
    public var key: PublicKey
    /// Names that the key may release and use in contracts; nil allows all.
    public var names: [Identifier]?
    /// The delegation ends at the first tick at or after this time.
    public var notAfter: Timestamp
    /// In the order of their bytes.
    public var types: [DelegatedType]

    public init(
        key: PublicKey,
        types: [DelegatedType],
        notAfter: Timestamp,
        contracts: [Identifier]? = nil,
        names: [Identifier]? = nil
    ) {
        self.contracts = contracts
        self.key = key
        self.names = names
        self.notAfter = notAfter
        self.types = types
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        contracts = try reader.optional("contracts")?.identifiers(1...32)
        key = try reader.required("key").publicKey()
        names = try reader.optional("names")?.identifiers(1...32)
        notAfter = try reader.required("not_after").time()
        types = try reader.required("types").words(1...5)
        try reader.end()
    }

    var json: JSONValue {
        var object: JSONObject = [
            "key": .string(key.hex), "not_after": .integer(notAfter), "types": .words(types),
        ]
        object["contracts"] = contracts.map(JSONValue.identifiers)
        object["names"] = names.map(JSONValue.identifiers)
        return .object(object)
    }
}

/// Body of `twin.undelegate`.
public struct TwinUndelegateBody: Sendable {
    public var key: KeyID

    public init(key: KeyID) { self.key = key }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        key = try reader.required("key").identifier()
        try reader.end()
    }

    var json: JSONValue { .object(["key": .identifier(key)]) }
}
