/// Body of `name.create`.
public struct NameCreateBody: Sendable {
    public var name: String

    public init(name: String) { self.name = name }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        name = try reader.required("name").string(Grammar.isName)
        try reader.end()
    }

    var json: JSONValue { .object(["name": .string(name)]) }
}

/// Body of `name.release`.
public struct NameReleaseBody: Sendable {
    public var name: Identifier

    public init(name: Identifier) { self.name = name }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        name = try reader.required("name").identifier()
        try reader.end()
    }

    var json: JSONValue { .object(["name": .identifier(name)]) }
}

/// Body of `name.transfer`; it needs the account of the payload to check that a name does not stay where it is.
public struct NameTransferBody: Sendable {
    public var name: Identifier
    public var to: Identifier

    public init(name: Identifier, to: Identifier) {
        self.name = name
        self.to = to
    }

    init(reading value: JSONValue, account: Identifier?) throws(SchemaViolation) {
        var reader = try value.members()
        name = try reader.required("name").identifier()
        to = try reader.required("to").identifier()
        try reader.end()
        guard to != account else { throw SchemaViolation() }
    }

    var json: JSONValue { .object(["name": .identifier(name), "to": .identifier(to)]) }
}
