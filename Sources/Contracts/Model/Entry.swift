/// An entry whose bytes, payload and body passed steps 1 to 3 of section 3.2.
///
/// Nothing is known yet about its signatures, its account or its place in a ledger.
public struct Entry: Sendable {
    /// The txid.
    public let id: Identifier
    /// The acting twin or the ledger; nil in genesis and twin.create.
    public let account: Identifier?
    /// Key id of the primary key, which selects the sequence lane.
    public let signer: KeyID
    /// The place in the lane, 1 or more; 0 in genesis and twin.create.
    public let sequence: Int64
    /// The last ledger time at which the entry may take effect; 0 in genesis.
    public let expires: Timestamp
    /// The ledger that the entry is for; zero in genesis.
    public let ledger: Identifier
    public let type: EntryType
    public let body: EntryBody
    public let envelope: Envelope

    /// Reads the members of section 2.4. The caller has checked `v` and `type`.
    init(reading object: JSONObject, type: EntryType, envelope: Envelope, id: Identifier) throws(SchemaViolation) {
        var reader = ObjectReader(object)
        let accountText = try reader.required("account").string()
        if type.hasNoAccount {
            guard accountText.isEmpty else { throw SchemaViolation() }
            account = nil
        } else {
            guard let identifier = Identifier(hex: accountText) else { throw SchemaViolation() }
            account = identifier
        }
        body = try EntryBody(reading: try reader.required("body"), type: type, account: account)
        expires = try reader.required("expires").integer(type == .genesis ? 0...0 : 1...Timestamp.latest)
        ledger = try reader.required("ledger").identifier()
        sequence = try reader.required("seq").integer(type.hasNoAccount ? 0...0 : 1...largestInteger)
        signer = try reader.required("signer").identifier()
        _ = try reader.required("type")
        _ = try reader.required("v")
        try reader.end()
        guard type != .genesis || ledger == .zero else { throw SchemaViolation() }
        self.id = id
        self.type = type
        self.envelope = envelope
    }
}
