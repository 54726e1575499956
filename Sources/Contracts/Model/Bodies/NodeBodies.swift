/// Body of `node.register`.
public struct NodeRegisterBody: Sendable {
    public var details: NodeDetails
    public var farm: Identifier
    public var name: String
    /// The twin that acts for the node; it signs too.
    public var twin: Identifier

    public init(details: NodeDetails, farm: Identifier, name: String, twin: Identifier) {
        self.details = details
        self.farm = farm
        self.name = name
        self.twin = twin
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        details = try NodeDetails(reading: &reader)
        farm = try reader.required("farm").identifier()
        name = try reader.required("name").string(Grammar.isName)
        twin = try reader.required("twin").identifier()
        try reader.end()
    }

    var json: JSONValue {
        var object = details.json
        object["farm"] = .identifier(farm)
        object["name"] = .string(name)
        object["twin"] = .identifier(twin)
        return .object(object)
    }
}

/// Body of `node.update`.
public struct NodeUpdateBody: Sendable {
    public var details: NodeDetails
    public var node: Identifier
    public var version: Int64

    public init(details: NodeDetails, node: Identifier, version: Int64) {
        self.details = details
        self.node = node
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        details = try NodeDetails(reading: &reader)
        node = try reader.required("node").identifier()
        version = try reader.required("version").integer(2...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        var object = details.json
        object["node"] = .identifier(node)
        object["version"] = .integer(version)
        return .object(object)
    }
}

/// Body of `node.retire`.
public struct NodeRetireBody: Sendable {
    public var node: Identifier

    public init(node: Identifier) { self.node = node }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        node = try reader.required("node").identifier()
        try reader.end()
    }

    var json: JSONValue { .object(["node": .identifier(node)]) }
}
