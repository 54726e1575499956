/// Where a gateway can be reached.
public struct Endpoint: Hashable, Sendable, SchemaValue {
    /// What is spoken at an endpoint.
    public enum Proto: String, Hashable, Sendable {
        case http
        case https
        case tcp
        case tunnel
        case udp
    }

    /// A host name, an IPv4 or an IPv6 address.
    public var host: String
    public var port: UInt16
    public var proto: Proto

    public init(host: String, port: UInt16, proto: Proto) {
        self.host = host
        self.port = port
        self.proto = proto
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        host = try reader.required("host").string {
            Grammar.isHost($0) || Grammar.isIPv4($0) || Grammar.isIPv6($0)
        }
        port = UInt16(truncatingIfNeeded: try reader.required("port").integer(1...65_535))
        proto = try reader.required("proto").word()
        try reader.end()
    }

    var json: JSONValue {
        .object(["host": .string(host), "port": .integer(Int64(port)), "proto": .string(proto.rawValue)])
    }
}

/// Where a gateway stands.
public struct Region: Hashable, Sendable, SchemaValue {
    /// ISO 3166-1 alpha-2; only the form is checked.
    public var country: String
    public var place: String?

    public init(country: String, place: String? = nil) {
        self.country = country
        self.place = place
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        country = try reader.required("country").string { Grammar.isUpperCase($0, 2...2) }
        place = try reader.optional("place")?.text(1...64)
        try reader.end()
    }

    var json: JSONValue {
        var object: JSONObject = ["country": .string(country)]
        object["place"] = place.map(JSONValue.string)
        return .object(object)
    }
}

/// What a node says about itself: the members NODE of node.register and node.update.
public struct NodeDetails: Hashable, Sendable {
    public var contact: String?
    /// Domains whose names the node serves, ascending. Claims, not exclusive.
    public var domains: [String]
    public var endpoints: [Endpoint]
    public var offer: Offer
    public var region: Region
    /// The key that agents pin for the TLS of tunnels.
    public var transportKey: PublicKey

    public init(
        contact: String? = nil,
        domains: [String],
        endpoints: [Endpoint],
        offer: Offer,
        region: Region,
        transportKey: PublicKey
    ) {
        self.contact = contact
        self.domains = domains
        self.endpoints = endpoints
        self.offer = offer
        self.region = region
        self.transportKey = transportKey
    }

    init(reading reader: inout ObjectReader) throws(SchemaViolation) {
        contact = try reader.optional("contact")?.text(1...256)
        domains = try reader.required("domains").strings(0...16, Grammar.isHost)
        endpoints = try reader.required("endpoints").array(1...32, of: Endpoint.init(reading:))
        offer = try Offer(reading: try reader.required("offer"))
        region = try Region(reading: try reader.required("region"))
        transportKey = try reader.required("transport_key").publicKey()
        guard Set(endpoints).count == endpoints.count else { throw SchemaViolation() }
    }

    var json: JSONObject {
        var object: JSONObject = [
            "domains": .strings(domains), "endpoints": .values(endpoints), "offer": offer.json,
            "region": region.json, "transport_key": .string(transportKey.hex),
        ]
        object["contact"] = contact.map(JSONValue.string)
        return object
    }
}
