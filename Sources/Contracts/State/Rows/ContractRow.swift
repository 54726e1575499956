/// Why a contract was deleted.
public enum DeletionCause: String, Hashable, Sendable, CaseIterable {
    case canceledByUser = "CanceledByUser"
    case canceledByCollective = "CanceledByCollective"
    case outOfFunds = "OutOfFunds"
    case expired = "Expired"
}

/// Row `contract/<id>`.
public struct ContractRow: Hashable, Sendable {
    /// Where a contract is in its life (section 6.1).
    public enum Phase: Hashable, Sendable {
        case created(ContractSpec)
        /// Unfunded since a time; its gateways do not forward.
        case grace(ContractSpec, since: Timestamp)
        case deleted(DeletionCause, at: Timestamp)
    }

    public var created: Timestamp
    /// Log index of its contract.create.
    public var index: Int64
    public var owner: Identifier
    public var phase: Phase
    public var version: Int64

    init(created: Timestamp, index: Int64, owner: Identifier, phase: Phase, version: Int64) {
        self.created = created
        self.index = index
        self.owner = owner
        self.phase = phase
        self.version = version
    }

    /// The terms of a live contract; nil when it is deleted.
    public var spec: ContractSpec? {
        switch phase {
        case .created(let spec), .grace(let spec, _): spec
        case .deleted: nil
        }
    }

    /// Whether the contract is not deleted.
    public var isLive: Bool {
        if case .deleted = phase { return false }
        return true
    }

    /// Whether the contract is in GracePeriod.
    public var isInGrace: Bool {
        if case .grace = phase { return true }
        return false
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        let cause: DeletionCause? = try reader.optional("cause")?.word()
        created = try reader.required("created").time()
        let deleted = try reader.optional("deleted")?.time()
        let grace = try reader.optional("grace")?.time()
        index = try reader.required("index").integer(0...largestInteger)
        owner = try reader.required("owner").identifier()
        let spec = reader.optional("spec")
        let state = try reader.required("state").string()
        version = try reader.required("version").integer(1...largestInteger)
        try reader.end()
        switch (state, spec, cause, deleted, grace) {
        case ("Created", let spec?, nil, nil, nil):
            phase = .created(try ContractSpec(reading: spec))
        case ("GracePeriod", let spec?, nil, nil, let since?):
            phase = .grace(try ContractSpec(reading: spec), since: since)
        case ("Deleted", nil, let cause?, let time?, nil):
            phase = .deleted(cause, at: time)
        default:
            throw SchemaViolation()
        }
    }

    var json: JSONValue {
        var object: JSONObject = [
            "created": .integer(created), "index": .integer(index), "owner": .identifier(owner),
            "version": .integer(version),
        ]
        switch phase {
        case .created(let spec):
            object["spec"] = spec.json
            object["state"] = .string("Created")
        case .grace(let spec, let since):
            object["grace"] = .integer(since)
            object["spec"] = spec.json
            object["state"] = .string("GracePeriod")
        case .deleted(let cause, let time):
            object["cause"] = .string(cause.rawValue)
            object["deleted"] = .integer(time)
            object["state"] = .string("Deleted")
        }
        return .object(object)
    }
}
