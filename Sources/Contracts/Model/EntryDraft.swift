/// An entry that is not signed yet.
///
/// A draft says what it is told; whether its payload passes the schema, `ParsedEntry` decides.
public struct EntryDraft: Sendable {
    public var type: String
    public var ledger: Identifier
    /// Nil in genesis and twin.create.
    public var account: Identifier?
    public var signer: KeyID
    public var sequence: Int64
    public var expires: Timestamp
    public var body: JSONObject

    public init(
        type: String,
        ledger: Identifier,
        account: Identifier?,
        signer: KeyID,
        seq: Int64,
        expires: Timestamp,
        body: JSONObject
    ) {
        self.type = type
        self.ledger = ledger
        self.account = account
        self.signer = signer
        self.sequence = seq
        self.expires = expires
        self.body = body
    }

    /// A draft with a typed body. Genesis and twin.create ignore `account` and `seq`, genesis also `ledger` and `expires`.
    public init(
        _ body: EntryBody,
        ledger: Identifier,
        account: Identifier? = nil,
        signer: KeyID,
        seq: Int64 = 0,
        expires: Timestamp = 0
    ) {
        let type = body.type
        guard case .object(let object) = body.json else { preconditionFailure("a body is an object") }
        self.init(
            type: type.rawValue,
            ledger: type == .genesis ? .zero : ledger,
            account: type.hasNoAccount ? nil : account,
            signer: signer,
            seq: type.hasNoAccount ? 0 : seq,
            expires: type == .genesis ? 0 : expires,
            body: object
        )
    }

    /// The genesis of a ledger.
    public static func genesis(_ body: GenesisBody, signer: KeyID) -> EntryDraft {
        EntryDraft(.genesis(body), ledger: .zero, signer: signer)
    }

    /// The canonical payload, which is signed and hashed.
    public var payload: [UInt8] {
        JSONValue.object([
            "account": .string(account?.hex ?? ""), "body": .object(body), "expires": .integer(expires),
            "ledger": .identifier(ledger), "seq": .integer(sequence), "signer": .identifier(signer),
            "type": .string(type), "v": .integer(1),
        ]).canonical
    }

    /// The envelope with one signature of each key.
    public func signed(by keys: [SigningKey]) -> Envelope {
        Envelope(payload: payload, signedBy: keys)
    }
}
