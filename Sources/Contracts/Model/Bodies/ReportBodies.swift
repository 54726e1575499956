/// Body of `contract.report`: what a gateway does with a contract. A state change, never a heartbeat.
public struct ContractReportBody: Sendable {
    public var code: StatusCode
    public var conflict: Identifier?
    public var contract: Identifier
    public var message: String
    public var node: Identifier
    public var state: StatusState
    public var version: Int64

    public init(
        code: StatusCode,
        state: StatusState,
        contract: Identifier,
        node: Identifier,
        version: Int64,
        message: String = "",
        conflict: Identifier? = nil
    ) {
        self.code = code
        self.conflict = conflict
        self.contract = contract
        self.message = message
        self.node = node
        self.state = state
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        code = try reader.required("code").word()
        conflict = try reader.optional("conflict")?.identifier()
        contract = try reader.required("contract").identifier()
        message = try reader.required("message").text(0...256)
        node = try reader.required("node").identifier()
        state = try reader.required("state").word()
        version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
        guard code.isReportable(in: state), conflict == nil || code.allowsConflict else { throw SchemaViolation() }
    }

    var json: JSONValue {
        var object: JSONObject = [
            "code": .string(code.rawValue), "contract": .identifier(contract), "message": .string(message),
            "node": .identifier(node), "state": .string(state.rawValue), "version": .integer(version),
        ]
        object["conflict"] = conflict.map(JSONValue.identifier)
        return .object(object)
    }
}

/// Body of `usage.report`: totals since the contract began on the node.
public struct UsageReportBody: Sendable {
    public var usage: UsageRow
    public var contract: Identifier
    public var node: Identifier

    public init(usage: UsageRow, contract: Identifier, node: Identifier) {
        self.usage = usage
        self.contract = contract
        self.node = node
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        usage = try UsageRow(reading: &reader)
        contract = try reader.required("contract").identifier()
        node = try reader.required("node").identifier()
        try reader.end()
    }

    var json: JSONValue {
        var object = usage.members
        object["contract"] = .identifier(contract)
        object["node"] = .identifier(node)
        return .object(object)
    }
}

/// Body of `bill.settle`: a billing service closes a period of a contract.
public struct BillSettleBody: Sendable {
    public var bill: BillRow
    public var contract: Identifier

    public init(bill: BillRow, contract: Identifier) {
        self.bill = bill
        self.contract = contract
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        bill = try BillRow(reading: &reader)
        contract = try reader.required("contract").identifier()
        try reader.end()
    }

    var json: JSONValue {
        var object = bill.members
        object["contract"] = .identifier(contract)
        return .object(object)
    }
}
