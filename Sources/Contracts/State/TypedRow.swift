/// A row of the state as a typed value, read from its stored form without any other row.
enum TypedRow: Sendable {
    /// One of the rows `ledger/...`, which make one value together.
    case ledger(RowKey, JSONValue)
    case twin(Identifier, Twin)
    case lane(LaneKey, Int64)
    case delegate(Identifier, KeyID, Delegation)
    case farm(Identifier, Farm)
    case node(Identifier, Node)
    case name(Identifier, NameRow)
    case contract(Identifier, ContractRow)
    case status(Identifier, Identifier, StatusRow)
    case usage(Identifier, Identifier, UsageRow)
    case bill(Identifier, BillRow)
    case attest(Identifier, Attestation)
    case evidence(Digest, EvidenceRow)

    /// - Throws: `StateError.key` for a key that is none of section 3.1, `.value` for bytes that are not its canonical value.
    init(key text: String, value: [UInt8]) throws(StateError) {
        guard let key = RowKey(text) else { throw .key(text) }
        try self.init(key, value)
    }

    /// - Throws: the same.
    init(key bytes: [UInt8], value: [UInt8]) throws(StateError) {
        guard let key = RowKey(bytes: bytes) else { throw .key(String(decoding: bytes, as: UTF8.self)) }
        try self.init(key, value)
    }

    private init(_ key: RowKey, _ value: [UInt8]) throws(StateError) {
        do {
            self = try TypedRow(key, try JSONValue(canonical: value))
        } catch {
            throw .value(key: String(decoding: key.bytes, as: UTF8.self))
        }
    }

    private init(_ key: RowKey, _ value: JSONValue) throws(SchemaViolation) {
        switch key {
        case .meta, .time, .root, .keys, .policy, .upgrade:
            self = .ledger(key, value)
        case .contract(let id):
            self = .contract(id, try ContractRow(reading: value))
        case .twin(let id):
            self = .twin(id, try Twin(reading: value))
        case .lane(let lane):
            var reader = try value.members()
            self = .lane(lane, try reader.required("seq").integer(1...largestInteger))
            try reader.end()
        case .delegate(let twin, let key):
            self = .delegate(twin, key, try Delegation(reading: value))
        case .farm(let id):
            self = .farm(id, try Farm(reading: value))
        case .node(let id):
            self = .node(id, try Node(reading: value))
        case .name(let id):
            self = .name(id, try NameRow(reading: value))
        case .status(let contract, let node):
            self = .status(contract, node, try StatusRow(reading: value))
        case .usage(let contract, let node):
            self = .usage(contract, node, try UsageRow(reading: value))
        case .bill(let contract):
            self = .bill(contract, try BillRow(reading: value))
        case .attest(let twin):
            self = .attest(twin, try Attestation(reading: value))
        case .evidence(let digest):
            self = .evidence(digest, try EvidenceRow(reading: value))
        }
    }
}
