/// Row `twin/<id>`: a principal and its keys.
public struct Twin: Hashable, Sendable {
    public var created: Timestamp
    public var keys: TwinKeys
    public var version: Int64

    init(created: Timestamp, keys: TwinKeys, version: Int64) {
        self.created = created
        self.keys = keys
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        created = try reader.required("created").time()
        keys = try TwinKeys(reading: try reader.required("keys"))
        version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        .object(["created": .integer(created), "keys": keys.json, "version": .integer(version)])
    }
}

/// Row `farm/<id>`.
public struct Farm: Hashable, Sendable {
    public var contact: String?
    public var name: String
    public var owner: Identifier
    public var version: Int64

    init(contact: String?, name: String, owner: Identifier, version: Int64) {
        self.contact = contact
        self.name = name
        self.owner = owner
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        contact = try reader.optional("contact")?.text(1...256)
        name = try reader.required("name").string(Grammar.isName)
        owner = try reader.required("owner").identifier()
        version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        var object: JSONObject = [
            "name": .string(name), "owner": .identifier(owner), "version": .integer(version),
        ]
        object["contact"] = contact.map(JSONValue.string)
        return .object(object)
    }
}

/// Row `name/<id>`.
public struct NameRow: Hashable, Sendable {
    public var created: Timestamp
    public var name: String
    public var owner: Identifier

    init(created: Timestamp, name: String, owner: Identifier) {
        self.created = created
        self.name = name
        self.owner = owner
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        created = try reader.required("created").time()
        name = try reader.required("name").string(Grammar.isName)
        owner = try reader.required("owner").identifier()
        try reader.end()
    }

    var json: JSONValue {
        .object(["created": .integer(created), "name": .string(name), "owner": .identifier(owner)])
    }
}
