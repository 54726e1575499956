/// Body of `farm.create`.
public struct FarmCreateBody: Sendable {
    public var contact: String?
    public var name: String

    public init(name: String, contact: String? = nil) {
        self.contact = contact
        self.name = name
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        contact = try reader.optional("contact")?.text(1...256)
        name = try reader.required("name").string(Grammar.isName)
        try reader.end()
    }

    var json: JSONValue {
        var object: JSONObject = ["name": .string(name)]
        object["contact"] = contact.map(JSONValue.string)
        return .object(object)
    }
}

/// Body of `farm.update`; an absent contact removes it.
public struct FarmUpdateBody: Sendable {
    public var contact: String?
    public var farm: Identifier
    public var name: String
    public var version: Int64

    public init(farm: Identifier, name: String, version: Int64, contact: String? = nil) {
        self.contact = contact
        self.farm = farm
        self.name = name
        self.version = version
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        contact = try reader.optional("contact")?.text(1...256)
        farm = try reader.required("farm").identifier()
        name = try reader.required("name").string(Grammar.isName)
        version = try reader.required("version").integer(2...largestInteger)
        try reader.end()
    }

    var json: JSONValue {
        var object: JSONObject = [
            "farm": .identifier(farm), "name": .string(name), "version": .integer(version),
        ]
        object["contact"] = contact.map(JSONValue.string)
        return .object(object)
    }
}
