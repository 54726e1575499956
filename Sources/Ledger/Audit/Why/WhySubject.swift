public import Contracts

/// What somebody asks about: a host, a leased port, or the key of an agent.
public enum WhySubject: Sendable, Hashable {
    case host(String)
    case tcp(UInt16)
    case udp(UInt16)
    case key(KeyID)

    /// Parses `HOST`, `tcp:PORT`, `udp:PORT` or a key id of 64 hex digits; nil for anything else.
    public init?(_ text: String) {
        if let key = KeyID(hex: text) {
            self = .key(key)
        } else if text.hasPrefix("tcp:") || text.hasPrefix("udp:") {
            guard let port = UInt16(text.dropFirst(4)), port > 0, String(port) == text.dropFirst(4) else { return nil }
            self = text.hasPrefix("tcp:") ? .tcp(port) : .udp(port)
        } else {
            let host = text.lowercased()
            guard Grammar.isWildcardHost(host) else { return nil }
            self = .host(host)
        }
    }

    /// Whether an exposure or a backend of a contract is about the subject.
    func isNamed(in spec: ContractSpec) -> Bool {
        switch self {
        case .host: spec.expose.contains { ($0.hosts ?? []).contains { place($0) != nil } }
        case .tcp(let port): Self.holds(spec, .tcp, port)
        case .udp(let port): Self.holds(spec, .udp, port)
        case .key(let key): Self.backends(spec.backends, key)
        }
    }

    /// How well a route fits: 0 is exact, 1 is by wildcard; nil when it is about something else.
    func place(of route: Route) -> Int? {
        switch (self, route.target) {
        case (.host, .http(let host, _, _, _, _, _)), (.host, .tls(let host, _, _)): place(host)
        case (.tcp(let port), .ports(let from, let to)): route.kind == .tcp && (from...to).contains(port) ? 0 : nil
        case (.udp(let port), .ports(let from, let to)): route.kind == .udp && (from...to).contains(port) ? 0 : nil
        case (.key(let key), _): Self.backends(route.backends, key) ? 0 : nil
        default: nil
        }
    }

    /// `*.x` matches exactly one label.
    private func place(_ host: String) -> Int? {
        guard case .host(let asked) = self else { return nil }
        if host.utf8.elementsEqual(asked.utf8) { return 0 }
        guard host.hasPrefix("*."), let dot = asked.utf8.firstIndex(of: 0x2E) else { return nil }
        return asked.utf8[dot...].elementsEqual(host.utf8.dropFirst()) ? 1 : nil
    }

    private static func holds(_ spec: ContractSpec, _ kind: ExposeKind, _ port: UInt16) -> Bool {
        spec.expose.contains { expose in
            expose.kind == kind && (expose.ports ?? []).contains { ($0.from...$0.to).contains(port) }
        }
    }

    private static func backends(_ backends: [Backend], _ key: KeyID) -> Bool {
        backends.contains { backend in
            if case .key(let other) = backend.target { return other.keyID == key }
            return false
        }
    }
}

extension WhySubject: CustomStringConvertible {
    /// The text that `init(_:)` parses.
    public var description: String {
        switch self {
        case .host(let host): host
        case .tcp(let port): "tcp:\(port)"
        case .udp(let port): "udp:\(port)"
        case .key(let key): key.hex
        }
    }
}
