/// The limits that a ledger fixes at its genesis.
public struct LedgerLimits: Hashable, Sendable, SchemaValue {
    /// Live contracts of one twin.
    public var contracts: Int64
    /// Seconds that an unfunded contract stays in GracePeriod before it is deleted.
    public var grace: Int64
    /// Names of one twin.
    public var names: Int64
    /// Seconds that the rows of a deleted contract remain.
    public var purge: Int64
    /// Seconds from now to the latest `not_after` of a contract.
    public var term: Int64
    /// Seconds between two ticks, at least.
    public var tickMinimum: Int64

    public init(
        contracts: Int64 = 1000,
        grace: Int64 = 1_209_600,
        names: Int64 = 100,
        purge: Int64 = 2_592_000,
        term: Int64 = 34_560_000,
        tickMinimum: Int64 = 60
    ) {
        self.contracts = contracts
        self.grace = grace
        self.names = names
        self.purge = purge
        self.term = term
        self.tickMinimum = tickMinimum
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        contracts = try reader.required("contracts").integer(1...100_000)
        grace = try reader.required("grace").integer(0...31_536_000)
        names = try reader.required("names").integer(1...10_000)
        purge = try reader.required("purge").integer(86_400...315_360_000)
        term = try reader.required("term").integer(3_600...315_360_000)
        tickMinimum = try reader.required("tick_min").integer(1...3_600)
        try reader.end()
    }

    var json: JSONValue {
        .object([
            "contracts": .integer(contracts), "grace": .integer(grace), "names": .integer(names),
            "purge": .integer(purge), "term": .integer(term), "tick_min": .integer(tickMinimum),
        ])
    }
}

/// Body of `genesis`: everything that a ledger begins with.
public struct GenesisBody: Sendable {
    /// Ledger keys; the note name of each is the origin.
    public var keys: [VerifierKey]
    public var limits: LedgerLimits
    public var name: String
    public var origin: String
    public var policy: WitnessPolicy
    /// Names that nobody can create, ascending.
    public var reserved: [String]
    public var root: Quorum
    public var time: Timestamp

    public init(
        keys: [VerifierKey],
        limits: LedgerLimits,
        name: String,
        origin: String,
        policy: WitnessPolicy,
        reserved: [String],
        root: Quorum,
        time: Timestamp
    ) {
        self.keys = keys
        self.limits = limits
        self.name = name
        self.origin = origin
        self.policy = policy
        self.reserved = reserved
        self.root = root
        self.time = time
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        _ = try reader.required("fold").integer(1...1)
        keys = try reader.required("keys").verifierKeys(1...8)
        limits = try LedgerLimits(reading: try reader.required("limits"))
        name = try reader.required("name").text(1...64)
        origin = try reader.required("origin").string(Grammar.isOrigin)
        policy = try reader.required("policy").policy()
        reserved = try reader.required("reserved").strings(0...64, Grammar.isName)
        root = try Quorum(reading: try reader.required("root"), atMost: 8)
        time = try reader.required("time").time()
        try reader.end()
        guard keys.allSatisfy({ $0.name == origin }) else { throw SchemaViolation() }
    }

    var json: JSONValue {
        .object([
            "fold": .integer(1), "keys": .keys(keys), "limits": limits.json, "name": .string(name),
            "origin": .string(origin),
            "policy": .string(policy.text), "reserved": .strings(reserved), "root": .object(root.json),
            "time": .integer(time),
        ])
    }
}
