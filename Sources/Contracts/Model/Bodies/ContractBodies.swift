/// Body of `contract.create`; its version is 1.
public struct ContractCreateBody: Sendable {
    public var spec: ContractSpec

    public init(spec: ContractSpec) { self.spec = spec }

    init(reading value: JSONValue) throws(SchemaViolation) {
        spec = try ContractSpec(reading: value)
        guard spec.version == 1 else { throw SchemaViolation() }
    }

    var json: JSONValue { spec.json }
}

/// Body of `contract.update`; its version is 2 or more.
public struct ContractUpdateBody: Sendable {
    public var contract: Identifier
    public var spec: ContractSpec

    public init(contract: Identifier, spec: ContractSpec) {
        self.contract = contract
        self.spec = spec
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        spec = try ContractSpec(reading: &reader)
        contract = try reader.required("contract").identifier()
        try reader.end()
        guard spec.version >= 2 else { throw SchemaViolation() }
    }

    var json: JSONValue {
        var object = spec.members
        object["contract"] = .identifier(contract)
        return .object(object)
    }
}

/// Body of `contract.cancel`.
public struct ContractCancelBody: Sendable {
    public var contract: Identifier

    public init(contract: Identifier) { self.contract = contract }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        contract = try reader.required("contract").identifier()
        try reader.end()
    }

    var json: JSONValue { .object(["contract": .identifier(contract)]) }
}
