/// What a contract may use.
public struct ContractLimits: Hashable, Sendable, SchemaValue {
    /// Bits per second.
    public var bps: Int64
    /// Bytes per period; present with `period`.
    public var bytesPeriod: Int64?
    /// New connections per second.
    public var connRate: Int64?
    /// Concurrent connections.
    public var conns: Int64
    /// Seconds.
    public var period: Int64?

    public init(
        bps: Int64,
        conns: Int64,
        connRate: Int64? = nil,
        bytesPeriod: Int64? = nil,
        period: Int64? = nil
    ) {
        self.bps = bps
        self.bytesPeriod = bytesPeriod
        self.connRate = connRate
        self.conns = conns
        self.period = period
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        bps = try reader.required("bps").integer(1...largestInteger)
        bytesPeriod = try reader.optional("bytes_period")?.integer(1...largestInteger)
        connRate = try reader.optional("conn_rate")?.integer(1...1_000_000)
        conns = try reader.required("conns").integer(1...10_000_000)
        period = try reader.optional("period")?.integer(3_600...31_622_400)
        try reader.end()
        guard (bytesPeriod == nil) == (period == nil) else { throw SchemaViolation() }
    }

    var json: JSONValue {
        var object: JSONObject = ["bps": .integer(bps), "conns": .integer(conns)]
        object["bytes_period"] = bytesPeriod.map(JSONValue.integer)
        object["conn_rate"] = connRate.map(JSONValue.integer)
        object["period"] = period.map(JSONValue.integer)
        return .object(object)
    }
}

/// The terms of a contract: the body of contract.create, and `spec` of a contract row.
///
/// Absent members stay absent (nil), so that the row repeats the body byte for byte.
public struct ContractSpec: Hashable, Sendable, SchemaValue {
    /// Ascending by id.
    public var backends: [Backend]
    public var conn: ConnectionMode
    /// Seconds that running streams get when a route ends; absent is 60.
    public var drain: Int64?
    /// Ascending by id.
    public var expose: [Expose]
    /// Node ids, ascending.
    public var gateways: [Identifier]
    public var limits: ContractLimits
    /// Seconds without a fresh quorum after which a gateway stops; absent is 259200.
    public var maxStale: Int64?
    /// Name contracts that managed hosts use, ascending; absent is none.
    public var nameContracts: [Identifier]?
    public var notAfter: Timestamp
    public var notBefore: Timestamp
    public var version: Int64

    public init(
        backends: [Backend],
        conn: ConnectionMode,
        expose: [Expose],
        gateways: [Identifier],
        limits: ContractLimits,
        nameContracts: [Identifier]? = nil,
        notBefore: Timestamp,
        notAfter: Timestamp,
        version: Int64 = 1,
        drain: Int64? = nil,
        maxStale: Int64? = nil
    ) {
        self.backends = backends
        self.conn = conn
        self.drain = drain
        self.expose = expose
        self.gateways = gateways
        self.limits = limits
        self.maxStale = maxStale
        self.nameContracts = nameContracts
        self.notAfter = notAfter
        self.notBefore = notBefore
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        try self.init(reading: &reader)
        try reader.end()
    }

    /// Reads the members of CONTRACT and leaves others to the caller.
    init(reading reader: inout ObjectReader) throws(SchemaViolation) {
        backends = try reader.required("backends").set(1...32, of: Backend.init(reading:)) {
            bytesPrecede($0.id, $1.id)
        }
        conn = try reader.required("conn").word()
        drain = try reader.optional("drain")?.integer(0...3_600)
        expose = try reader.required("expose").set(1...64, of: Expose.init(reading:)) { bytesPrecede($0.id, $1.id) }
        gateways = try reader.required("gateways").identifiers(1...16)
        limits = try ContractLimits(reading: try reader.required("limits"))
        maxStale = try reader.optional("max_stale")?.integer(300...1_209_600)
        nameContracts = try reader.optional("name_contracts")?.identifiers(1...16)
        notAfter = try reader.required("not_after").time()
        notBefore = try reader.required("not_before").time()
        version = try reader.required("version").integer(1...largestInteger)
        guard isCoherent else { throw SchemaViolation() }
    }

    var json: JSONValue { .object(members) }

    var members: JSONObject {
        var object: JSONObject = [
            "backends": .values(backends), "conn": .string(conn.rawValue), "expose": .values(expose),
            "gateways": .identifiers(gateways), "limits": limits.json, "not_after": .integer(notAfter),
            "not_before": .integer(notBefore), "version": .integer(version),
        ]
        object["drain"] = drain.map(JSONValue.integer)
        object["max_stale"] = maxStale.map(JSONValue.integer)
        object["name_contracts"] = nameContracts.map(JSONValue.identifiers)
        return object
    }
}
