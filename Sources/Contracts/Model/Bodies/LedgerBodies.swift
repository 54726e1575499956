/// Body of `tick`: ledger time moves on.
public struct TickBody: Sendable {
    public var time: Timestamp

    public init(time: Timestamp) { self.time = time }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        time = try reader.required("time").time()
        try reader.end()
    }

    var json: JSONValue { .object(["time": .integer(time)]) }
}

/// Body of `root.rotate`: other root keys.
public struct RootRotateBody: Sendable {
    public var root: Quorum
    public var version: Int64

    public init(root: Quorum, version: Int64) {
        self.root = root
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        root = try Quorum(reading: &reader, atMost: 8)
        version = try reader.required("version").integer(2...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        var object = root.json
        object["version"] = .integer(version)
        return .object(object)
    }
}

/// Body of `ledger.keys`: other keys that sign checkpoints and ticks.
public struct LedgerKeysBody: Sendable {
    public var keys: [VerifierKey]
    public var version: Int64

    public init(keys: [VerifierKey], version: Int64) {
        self.keys = keys
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        keys = try reader.required("keys").verifierKeys(1...8)
        version = try reader.required("version").integer(2...largestInteger)
        try reader.end()
    }

    var json: JSONValue { .object(["keys": .keys(keys), "version": .integer(version)]) }
}

/// A twin that attests states, and the key of its state notes.
public struct Auditor: Hashable, Sendable, SchemaValue {
    public var twin: Identifier
    public var key: VerifierKey

    public init(twin: Identifier, key: VerifierKey) {
        self.twin = twin
        self.key = key
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        twin = try reader.required("twin").identifier()
        key = try reader.required("vkey").verifierKey()
        try reader.end()
    }

    var json: JSONValue { .object(["twin": .identifier(twin), "vkey": .string(key.description)]) }
}

/// Body of `policy.set`: the witness policy, the auditors and the billing services.
public struct PolicySetBody: Sendable {
    public var auditorQuorum: Int64
    public var auditors: [Auditor]
    public var billing: [Identifier]
    public var policy: WitnessPolicy
    public var version: Int64

    public init(
        auditorQuorum: Int64,
        auditors: [Auditor],
        billing: [Identifier],
        policy: WitnessPolicy,
        version: Int64
    ) {
        self.auditorQuorum = auditorQuorum
        self.auditors = auditors
        self.billing = billing
        self.policy = policy
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        try self.init(reading: value, version: 2)
    }

    /// The same shape is the row `ledger/policy`, whose first version is 1.
    init(reading value: JSONValue, version first: Int64) throws(SchemaViolation) {
        var reader = try value.members()
        auditorQuorum = try reader.required("auditor_quorum").integer(0...16)
        auditors = try reader.required("auditors").set(0...16, of: Auditor.init(reading:)) { $0.twin < $1.twin }
        billing = try reader.required("billing").identifiers(0...8)
        policy = try reader.required("policy").policy()
        version = try reader.required("version").integer(first...largestInteger)
        try reader.end()
        guard auditorQuorum <= Int64(auditors.count) else { throw SchemaViolation() }
    }

    var json: JSONValue {
        .object([
            "auditor_quorum": .integer(auditorQuorum), "auditors": .values(auditors),
            "billing": .identifiers(billing), "policy": .string(policy.text), "version": .integer(version),
        ])
    }
}

/// Body of `protocol.upgrade`, and the row `ledger/upgrade`: another fold from a time on.
public struct ProtocolUpgradeBody: Hashable, Sendable {
    public var activate: Timestamp
    public var fold: Int64
    public var version: Int64

    public init(activate: Timestamp, fold: Int64, version: Int64) {
        self.activate = activate
        self.fold = fold
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        activate = try reader.required("activate").time()
        fold = try reader.required("fold").integer(1...65_535)
        version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        .object(["activate": .integer(activate), "fold": .integer(fold), "version": .integer(version)])
    }
}
