/// How visitors reach an expose: by host and path, by SNI, or at leased ports.
public enum ExposeKind: String, Hashable, Sendable, CaseIterable {
    case http
    case tcp
    case tls
    case udp

    /// Whether exposes of the kind lease ports rather than name hosts.
    public var usesPorts: Bool { self == .tcp || self == .udp }
}

/// How the gateway reaches the workload.
public enum ConnectionMode: String, Hashable, Sendable, CaseIterable {
    /// The gateway dials the backend's overlay address.
    case overlay
    /// The agent holds a control session and dials one raw connection for each visitor.
    case reverseRaw = "reverse-raw"
    /// The agent holds tunnels with multiplexed streams.
    case reverseTLS = "reverse-tls"
}

/// What makes a contract with a gateway valid.
public enum Acceptance: String, Hashable, Sendable {
    /// A signature of the node's twin.
    case cosign
    /// That the contract fits into the offer.
    case offer
}

/// Price of a gateway, for people; the fold only checks its form.
public struct Price: Hashable, Sendable, SchemaValue {
    public var currency: String
    public var gib: String
    public var hour: String

    public init(currency: String, gib: String, hour: String) {
        self.currency = currency
        self.gib = gib
        self.hour = hour
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        currency = try reader.required("currency").string { Grammar.isUpperCase($0, 3...5) }
        gib = try reader.required("gib").string(Grammar.isDecimal)
        hour = try reader.required("hour").string(Grammar.isDecimal)
        try reader.end()
    }

    var json: JSONValue {
        .object(["currency": .string(currency), "gib": .string(gib), "hour": .string(hour)])
    }
}

/// What a gateway offers: kinds and modes, limits for one contract, and port ranges to lease.
public struct Offer: Hashable, Sendable, SchemaValue {
    public var accept: Acceptance
    /// Bits per second, at most, for a contract.
    public var bps: Int64
    /// Concurrent connections, at most, for a contract.
    public var conns: Int64
    public var kinds: [ExposeKind]
    public var modes: [ConnectionMode]
    public var price: Price
    /// Present if `kinds` has tcp.
    public var tcp: [PortRange]?
    /// Present if `kinds` has udp.
    public var udp: [PortRange]?

    public init(
        accept: Acceptance = .offer,
        bps: Int64,
        conns: Int64,
        kinds: [ExposeKind],
        modes: [ConnectionMode],
        price: Price,
        tcp: [PortRange]? = nil,
        udp: [PortRange]? = nil
    ) {
        self.accept = accept
        self.bps = bps
        self.conns = conns
        self.kinds = kinds
        self.modes = modes
        self.price = price
        self.tcp = tcp
        self.udp = udp
    }

    init(reading value: JSONValue) throws(SchemaViolation) {
        var reader = try value.members()
        accept = try reader.required("accept").word()
        bps = try reader.required("bps").integer(1...largestInteger)
        conns = try reader.required("conns").integer(1...10_000_000)
        kinds = try reader.required("kinds").words(1...4)
        modes = try reader.required("modes").words(1...3)
        price = try Price(reading: try reader.required("price"))
        tcp = try Self.ranges(reader.optional("tcp"))
        udp = try Self.ranges(reader.optional("udp"))
        try reader.end()
        guard (tcp != nil) == kinds.contains(.tcp), (udp != nil) == kinds.contains(.udp) else {
            throw SchemaViolation()
        }
    }

    private static func ranges(_ value: JSONValue?) throws(SchemaViolation) -> [PortRange]? {
        guard let value else { return nil }
        return try PortRange.list(reading: value)
    }

    var json: JSONValue {
        var object: JSONObject = [
            "accept": .string(accept.rawValue), "bps": .integer(bps), "conns": .integer(conns),
            "kinds": .words(kinds), "modes": .words(modes), "price": price.json,
        ]
        object["tcp"] = tcp.map(JSONValue.values)
        object["udp"] = udp.map(JSONValue.values)
        return .object(object)
    }

    /// The ranges to lease for a kind.
    public func ranges(of kind: ExposeKind) -> [PortRange] {
        switch kind {
        case .tcp: tcp ?? []
        case .udp: udp ?? []
        case .http, .tls: []
        }
    }
}
