public import Contracts

/// What one side says was carried for a contract between a node and an agent, until a time. Signed by the agent when it is the
/// agent's word. Also the payload of USAGE.
public struct UsageStatement: Hashable, Sendable {
    public var subject: UsageSubject
    public var totals: UsageTotals
    /// The gateway's time when it asked.
    public var until: Timestamp
    /// Ed25519 by the agent's backend key over `signedBytes`, 64 bytes; nil for the gateway's own word.
    public var signature: [UInt8]?

    public init(subject: UsageSubject, totals: UsageTotals, until: Timestamp, signature: [UInt8]? = nil) {
        self.subject = subject
        self.totals = totals
        self.until = until
        self.signature = signature
    }

    /// Type of what is signed, in DSSE's pre-authentication encoding.
    static let type = "application/vnd.webgw.usage.v1+json"

    /// What the agent signs: the statement with the node's id, without the signature (docs/spec/usage.md).
    public var signedBytes: [UInt8] {
        var object = members
        object["node"] = .string(subject.node.hex)
        return Envelope.pae(Self.type, object.canonical)
    }

    /// The statement with the agent's signature.
    public func signed(by key: SigningKey) -> UsageStatement {
        var statement = self
        statement.signature = key.signature(for: signedBytes)
        return statement
    }

    /// Whether the key signed it.
    public func isSigned(by key: PublicKey) -> Bool {
        signature.map { key.isValid(signature: $0, for: signedBytes) } ?? false
    }

    private var members: JSONObject {
        [
            "bytes_in": .integer(totals.bytesIn), "bytes_out": .integer(totals.bytesOut),
            "conns": .integer(totals.conns), "contract": .string(subject.contract.hex), "until": .integer(until),
        ]
    }

    /// The payload of USAGE; the node is the session's.
    var payload: [UInt8] {
        var object = members
        object["sig"] = signature.map { .string(Base64.encode($0)) }
        return object.canonical
    }

    /// Reads a payload of USAGE; nil for anything malformed.
    init?(_ payload: [UInt8], node: Identifier) {
        guard let value = try? JSONValue(canonical: payload) else { return nil }
        self.init(value, node: node)
    }

    init?(_ value: JSONValue, node: Identifier) {
        guard let totals = UsageTotals(value), let until = value["until"]?.asInteger, until >= 0,
            let contract = value["contract"]?.asString.flatMap({ Identifier(hex: $0) })
        else { return nil }
        var signature: [UInt8]?
        if let text = value["sig"] {
            guard let bytes = text.asString.flatMap(Base64.decode), bytes.count == 64 else { return nil }
            signature = bytes
        }
        self.init(
            subject: UsageSubject(contract: contract, node: node),
            totals: totals,
            until: until,
            signature: signature
        )
    }

    /// As JSON, with the node.
    public var json: JSONValue {
        var object = members
        object["node"] = .string(subject.node.hex)
        object["sig"] = signature.map { .string(Base64.encode($0)) }
        return .object(object)
    }

    /// Reads what `json` gives.
    public init?(_ value: JSONValue) {
        guard let node = value["node"]?.asString.flatMap({ Identifier(hex: $0) }) else { return nil }
        self.init(value, node: node)
    }
}

extension UsageTotals {
    /// Reads `bytes_in`, `bytes_out` and `conns`; nil unless all are there.
    init?(_ value: JSONValue) {
        guard let bytesIn = value["bytes_in"]?.asInteger, let bytesOut = value["bytes_out"]?.asInteger,
            let conns = value["conns"]?.asInteger
        else { return nil }
        self.init(bytesIn: bytesIn, bytesOut: bytesOut, conns: conns)
    }
}
