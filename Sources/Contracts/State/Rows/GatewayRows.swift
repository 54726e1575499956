/// Row `status/<contract>/<node>`: what a gateway last reported about a contract.
public struct StatusRow: Hashable, Sendable {
    public var code: StatusCode
    /// The contract that is in the way.
    public var conflict: Identifier?
    public var message: String
    public var state: StatusState
    public var time: Timestamp
    /// The version of the contract that the report is about.
    public var version: Int64

    init(
        code: StatusCode,
        conflict: Identifier? = nil,
        message: String,
        state: StatusState,
        time: Timestamp,
        version: Int64
    ) {
        self.code = code
        self.conflict = conflict
        self.message = message
        self.state = state
        self.time = time
        self.version = version
    }

    /// The row of a gateway that has not reported yet.
    static func pending(time: Timestamp, version: Int64) -> StatusRow {
        StatusRow(code: .pending, message: "", state: .pending, time: time, version: version)
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        code = try reader.required("code").word()
        conflict = try reader.optional("conflict")?.identifier()
        message = try reader.required("message").text(0...256)
        state = try reader.required("state").word()
        time = try reader.required("time").time()
        version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        var object: JSONObject = [
            "code": .string(code.rawValue), "message": .string(message), "state": .string(state.rawValue),
            "time": .integer(time), "version": .integer(version),
        ]
        object["conflict"] = conflict.map(JSONValue.identifier)
        return .object(object)
    }
}

/// Row `usage/<contract>/<node>`: totals since the contract began on the node.
public struct UsageRow: Hashable, Sendable {
    public var bytesIn: Int64
    public var bytesOut: Int64
    public var conns: Int64
    public var until: Timestamp

    public init(bytesIn: Int64, bytesOut: Int64, conns: Int64, until: Timestamp) {
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.conns = conns
        self.until = until
    }

    init(reading reader: inout ObjectReader) throws(SchemaViolation) {
        bytesIn = try reader.required("bytes_in").integer(0...largestInteger)
        bytesOut = try reader.required("bytes_out").integer(0...largestInteger)
        conns = try reader.required("conns").integer(0...largestInteger)
        until = try reader.required("until").time()
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        try self.init(reading: &reader)
        try reader.end()
    }

    var members: JSONObject {
        [
            "bytes_in": .integer(bytesIn), "bytes_out": .integer(bytesOut), "conns": .integer(conns),
            "until": .integer(until),
        ]
    }
}

/// Row `bill/<contract>`: the last settled period.
public struct BillRow: Hashable, Sendable {
    public var amount: String
    public var currency: String
    public var from: Timestamp
    public var funded: Bool
    public var period: Int64
    public var to: Timestamp

    public init(
        amount: String,
        currency: String,
        from: Timestamp,
        funded: Bool,
        period: Int64,
        to: Timestamp
    ) {
        self.amount = amount
        self.currency = currency
        self.from = from
        self.funded = funded
        self.period = period
        self.to = to
    }

    init(reading reader: inout ObjectReader) throws(SchemaViolation) {
        amount = try reader.required("amount").string(Grammar.isDecimal)
        currency = try reader.required("currency").string { Grammar.isUpperCase($0, 3...5) }
        from = try reader.required("from").time()
        funded = try reader.required("funded").boolean()
        period = try reader.required("period").integer(1...largestInteger)
        to = try reader.required("to").time()
        guard from < to else { throw SchemaViolation() }
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        try self.init(reading: &reader)
        try reader.end()
    }

    var members: JSONObject {
        [
            "amount": .string(amount), "currency": .string(currency), "from": .integer(from),
            "funded": .boolean(funded), "period": .integer(period), "to": .integer(to),
        ]
    }
}

/// Row `evidence/<digest>`: who recorded which fork, and when.
public struct EvidenceRow: Hashable, Sendable {
    public var a: TreeHead
    public var b: TreeHead
    public var time: Timestamp
    public var twin: Identifier

    init(a: TreeHead, b: TreeHead, time: Timestamp, twin: Identifier) {
        self.a = a
        self.b = b
        self.time = time
        self.twin = twin
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        a = try TreeHead(reading: try reader.required("a"))
        b = try TreeHead(reading: try reader.required("b"))
        time = try reader.required("time").time()
        twin = try reader.required("twin").identifier()
        try reader.end()
    }

    var json: JSONValue {
        .object(["a": a.json, "b": b.json, "time": .integer(time), "twin": .identifier(twin)])
    }
}
