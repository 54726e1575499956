/// A live gateway.
public struct NodeRow: Hashable, Sendable {
    public var details: NodeDetails
    public var farm: Identifier
    public var name: String
    public var twin: Identifier
    public var version: Int64

    init(details: NodeDetails, farm: Identifier, name: String, twin: Identifier, version: Int64) {
        self.details = details
        self.farm = farm
        self.name = name
        self.twin = twin
        self.version = version
    }
}

/// A gateway that will not come back.
public struct RetiredNode: Hashable, Sendable {
    public var farm: Identifier
    public var retired: Timestamp
    public var twin: Identifier
    public var version: Int64
}

/// Row `node/<id>`.
public enum Node: Hashable, Sendable {
    case live(NodeRow)
    case retired(RetiredNode)

    /// The node's twin.
    public var twin: Identifier {
        switch self {
        case .live(let row): row.twin
        case .retired(let row): row.twin
        }
    }

    /// Whether the node is not retired.
    public var isLive: Bool {
        if case .live = self { return true }
        return false
    }

    /// The row of a live node.
    public var live: NodeRow? {
        guard case .live(let row) = self else { return nil }
        return row
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        let farm = try reader.required("farm").identifier()
        let retired = try reader.optional("retired")?.time()
        let twin = try reader.required("twin").identifier()
        let version = try reader.required("version").integer(1...largestInteger)
        if let retired {
            self = .retired(RetiredNode(farm: farm, retired: retired, twin: twin, version: version))
        } else {
            let details = try NodeDetails(reading: &reader)
            let name = try reader.required("name").string(Grammar.isName)
            self = .live(NodeRow(details: details, farm: farm, name: name, twin: twin, version: version))
        }
        try reader.end()
    }

    var json: JSONValue {
        switch self {
        case .live(let row):
            var object = row.details.json
            object["farm"] = .identifier(row.farm)
            object["name"] = .string(row.name)
            object["twin"] = .identifier(row.twin)
            object["version"] = .integer(row.version)
            return .object(object)
        case .retired(let row):
            return .object([
                "farm": .identifier(row.farm), "retired": .integer(row.retired), "twin": .identifier(row.twin),
                "version": .integer(row.version),
            ])
        }
    }
}
