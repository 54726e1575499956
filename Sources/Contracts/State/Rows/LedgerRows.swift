/// Row `ledger/meta`: what genesis fixed for good.
public struct LedgerMeta: Hashable, Sendable {
    public var ledger: Identifier
    public var limits: LedgerLimits
    public var name: String
    public var origin: String
    /// Names that nobody can create, ascending.
    public var reserved: [String]
    /// Ledger time of genesis.
    public var time: Timestamp

    init(
        ledger: Identifier,
        limits: LedgerLimits,
        name: String,
        origin: String,
        reserved: [String],
        time: Timestamp
    ) {
        self.ledger = ledger
        self.limits = limits
        self.name = name
        self.origin = origin
        self.reserved = reserved
        self.time = time
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        ledger = try reader.required("ledger").identifier()
        limits = try LedgerLimits(reading: try reader.required("limits"))
        name = try reader.required("name").text(1...64)
        origin = try reader.required("origin").string(Grammar.isOrigin)
        reserved = try reader.required("reserved").strings(0...64, Grammar.isName)
        time = try reader.required("time").time()
        try reader.end()
    }

    var json: JSONValue {
        .object([
            "ledger": .identifier(ledger), "limits": limits.json, "name": .string(name), "origin": .string(origin),
            "reserved": .strings(reserved), "time": .integer(time),
        ])
    }
}

/// Row `ledger/time`.
struct LedgerClock: Hashable, Sendable {
    /// Ledger time: of genesis, then of the last effective tick.
    var time: Timestamp
    /// The number of effective ticks.
    var ticks: Int64

    init(time: Timestamp, ticks: Int64) {
        self.time = time
        self.ticks = ticks
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        ticks = try reader.required("ticks").integer(0...largestInteger)
        time = try reader.required("time").time()
        try reader.end()
    }

    var json: JSONValue { .object(["ticks": .integer(ticks), "time": .integer(time)]) }
}

/// Row `ledger/root`.
struct RootRow: Hashable, Sendable {
    var quorum: Quorum
    var version: Int64

    init(quorum: Quorum, version: Int64) {
        self.quorum = quorum
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        quorum = try Quorum(reading: &reader, atMost: 8)
        version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        var object = quorum.json
        object["version"] = .integer(version)
        return .object(object)
    }
}

/// Row `ledger/keys`.
struct LedgerKeysRow: Sendable {
    let keys: [VerifierKey]
    /// The public keys with their ids.
    let publicKeys: KeySet
    let version: Int64

    init(keys: [VerifierKey], version: Int64) {
        self.keys = keys
        self.publicKeys = KeySet(keys.map(\.key))
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        let keys = try reader.required("keys").verifierKeys(1...8)
        let version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
        self.init(keys: keys, version: version)
    }

    var json: JSONValue { .object(["keys": .keys(keys), "version": .integer(version)]) }
}

/// The rows `ledger/...`, which exist from genesis on.
struct LedgerRows: Sendable {
    var meta: LedgerMeta
    var clock: LedgerClock
    var root: RootRow
    var keys: LedgerKeysRow
    var policy: PolicySetBody
    var upgrade: ProtocolUpgradeBody?
}
