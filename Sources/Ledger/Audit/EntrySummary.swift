public import Contracts

/// An entry of a log as people are told about it: where it stands, what it is, and whose keys signed it.
public struct EntrySummary: Sendable, Hashable {
    public let index: UInt64

    /// What the fold made of it; nil when the log was not folded so far.
    public var code: Code?

    /// The txid; nil for bytes that are no envelope of the right type.
    public let id: Identifier?

    /// Type, account and primary key; nil when the payload has not the shape of an entry.
    public let type: EntryType?
    public let account: Identifier?
    public let signer: KeyID?

    /// Key ids of all signatures, ascending.
    public let signers: [KeyID]

    /// Describes the bytes of a leaf.
    public init(_ leaf: [UInt8], index: UInt64, code: Code? = nil) {
        self.init(ParsedEntry(leaf: leaf), index: index, code: code)
    }

    /// Describes an entry that was parsed.
    public init(_ parsed: ParsedEntry, index: UInt64, code: Code? = nil) {
        self.index = index
        self.code = code
        id = parsed.id
        if case .entry(let entry) = parsed {
            type = entry.type
            account = entry.account
            signer = entry.signer
            signers = entry.envelope.signatures.map(\.keyID)
        } else {
            (type, account, signer, signers) = (nil, nil, nil, [])
        }
    }

    /// The entry in a JSON document; what is not known is absent.
    public var json: JSONValue {
        var object: JSONObject = [
            "index": .integer(Int64(index)), "signers": .array(signers.map { .string($0.hex) }),
        ]
        object["code"] = code.map { .string($0.rawValue) }
        object["id"] = id.map { .string($0.hex) }
        object["type"] = type.map { .string($0.rawValue) }
        object["account"] = account.map { .string($0.hex) }
        object["signer"] = signer.map { .string($0.hex) }
        return .object(object)
    }

    /// The entry in one line: `entry 17 <txid> contract.create, ok, signed by <keyid>`.
    public var text: String {
        var text = "entry \(index) \(id?.hex ?? "without txid") \(type?.rawValue ?? "of no known type")"
        if let code { text += ", \(code.rawValue)" }
        if !signers.isEmpty { text += ", signed by \(signers.map(\.hex).joined(separator: " "))" }
        return text
    }
}
