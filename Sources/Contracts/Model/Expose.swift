/// How new connections are spread over backends, always by weight.
public enum Balance: String, Hashable, Sendable {
    case roundRobin = "round-robin"
    case leastConnections = "least-conn"
    case clientIP = "client-ip"
}

/// Where the TLS of an http expose ends.
public enum HTTPTLS: String, Hashable, Sendable {
    /// At the gateway: served on https.
    case terminate
    /// Nowhere: served on http only.
    case none
}

/// One way into a contract.
///
/// An absent member stays absent (nil) in the row; the properties with defaults are those of the route table.
public struct Expose: Hashable, Sendable, SchemaValue {
    /// Visitors that may enter; absent allows all.
    public var allow: [CIDR]?
    /// Ids of the contract's backends.
    public var backends: [String]
    public var balance: Balance?
    /// Visitors that may not enter; wins over `allow`.
    public var deny: [CIDR]?
    /// For http and tls: hosts, perhaps with a leading `*.`, ascending.
    public var hosts: [String]?
    /// A label, unique in the contract.
    public var id: String
    public var kind: ExposeKind
    /// For http: a prefix on a segment boundary; absent serves every path.
    public var path: String?
    /// For tcp and udp: the leased ports.
    public var ports: [PortRange]?
    /// Version of the PROXY protocol towards the workload; absent or 0 sends none.
    public var proxy: Int64?
    /// Whether http requests are redirected to https.
    public var redirect: Bool?
    /// For http: where TLS ends.
    public var tls: HTTPTLS?

    public init(
        id: String,
        kind: ExposeKind,
        backends: [String],
        hosts: [String]? = nil,
        tls: HTTPTLS? = nil,
        ports: [PortRange]? = nil,
        path: String? = nil,
        allow: [CIDR]? = nil,
        deny: [CIDR]? = nil,
        balance: Balance? = nil,
        proxy: Int64? = nil,
        redirect: Bool? = nil
    ) {
        self.allow = allow
        self.backends = backends
        self.balance = balance
        self.deny = deny
        self.hosts = hosts
        self.id = id
        self.kind = kind
        self.path = path
        self.ports = ports
        self.proxy = proxy
        self.redirect = redirect
        self.tls = tls
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        allow = try Self.networks(reader.optional("allow"))
        backends = try reader.required("backends").strings(1...32, Grammar.isLabel)
        balance = try reader.optional("balance")?.word()
        deny = try Self.networks(reader.optional("deny"))
        hosts = try reader.optional("hosts")?.strings(1...32, Grammar.isWildcardHost)
        id = try reader.required("id").string(Grammar.isLabel)
        kind = try reader.required("kind").word()
        path = try reader.optional("path")?.string(Grammar.isPathPrefix)
        ports = try Self.leases(reader.optional("ports"))
        proxy = try reader.optional("proxy")?.integer(0...2)
        redirect = try reader.optional("redirect")?.boolean()
        tls = try reader.optional("tls")?.word()
        try reader.end()
        guard (hosts == nil) == kind.usesPorts, (ports != nil) == kind.usesPorts, (tls != nil) == (kind == .http),
            path == nil || kind == .http, redirect == nil || tls == .terminate, kind != .udp || proxy != 1
        else { throw SchemaViolation() }
    }

    private static func networks(_ value: JSONValue?) throws(SchemaViolation) -> [CIDR]? {
        guard let value else { return nil }
        let texts = try value.strings(1...64) { _ in true }
        var networks: [CIDR] = []
        networks.reserveCapacity(texts.count)
        for text in texts {
            guard let network = CIDR(text) else { throw SchemaViolation() }
            networks.append(network)
        }
        return networks
    }

    private static func leases(_ value: JSONValue?) throws(SchemaViolation) -> [PortRange]? {
        guard let value else { return nil }
        return try PortRange.list(reading: value, span: 1023)
    }

    var json: JSONValue {
        var object: JSONObject = [
            "backends": .strings(backends), "id": .string(id), "kind": .string(kind.rawValue),
        ]
        object["allow"] = allow.map { .strings($0.map(\.description)) }
        object["balance"] = balance.map { .string($0.rawValue) }
        object["deny"] = deny.map { .strings($0.map(\.description)) }
        object["hosts"] = hosts.map(JSONValue.strings)
        object["path"] = path.map(JSONValue.string)
        object["ports"] = ports.map(JSONValue.values)
        object["proxy"] = proxy.map(JSONValue.integer)
        object["redirect"] = redirect.map(JSONValue.boolean)
        object["tls"] = tls.map { .string($0.rawValue) }
        return .object(object)
    }
}
