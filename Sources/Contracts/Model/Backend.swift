/// A workload of a contract: an agent's key, or an address of the overlay network.
public struct Backend: Hashable, Sendable, SchemaValue {
    /// How the gateway knows the workload.
    public enum Target: Hashable, Sendable {
        /// The agent authenticates with this key.
        case key(PublicKey)
        /// `[address]:port`, an address in 0200::/7 or 0400::/7.
        case address(String)
    }

    /// A label, unique in the contract.
    public var id: String
    public var target: Target
    /// 1...1000; a backend gets its weight's share of new connections.
    public var weight: Int64

    public init(id: String, target: Target, weight: Int64 = 1) {
        self.id = id
        self.target = target
        self.weight = weight
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        if let address = reader.optional("address") {
            target = .address(try address.string(Self.isOverlayAddress))
            id = try reader.required("id").string(Grammar.isLabel)
        } else {
            id = try reader.required("id").string(Grammar.isLabel)
            target = .key(try reader.required("key").publicKey())
        }
        weight = try reader.required("weight").integer(1...1000)
        try reader.end()
    }

    var json: JSONValue {
        var object: JSONObject = ["id": .string(id), "weight": .integer(weight)]
        switch target {
        case .key(let key): object["key"] = .string(key.hex)
        case .address(let address): object["address"] = .string(address)
        }
        return .object(object)
    }

    /// Whether a text is `[` ip6 `]:` port with an address in 0200::/7 or 0400::/7.
    public static func isOverlayAddress(_ text: String) -> Bool {
        let bytes = text.utf8
        guard bytes.first == 0x5B, let close = bytes.firstIndex(of: 0x5D) else { return false }
        let host = String(text[bytes.index(after: bytes.startIndex)..<close])
        let rest = bytes[bytes.index(after: close)...]
        let digits = rest.dropFirst()
        guard rest.first == 0x3A, (1...5).contains(digits.count), digits.allSatisfy(Grammar.isDigit),
            digits.first != 0x30, digits.reduce(0, { $0 * 10 + Int($1 - 0x30) }) <= 65_535,
            Grammar.isIPv6(host), case .v6(let high, _) = IPAddress(host)
        else { return false }
        let network = high >> 57
        return network == 0x01 || network == 0x02
    }
}
