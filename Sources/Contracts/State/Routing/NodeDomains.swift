/// Who may use a host at a node (section 5, managed and custom hosts).
public enum HostAuthority: Hashable, Sendable {
    /// Whoever proves it by DNS.
    case custom
    /// Whoever owns the name.
    case managed(name: String)
    /// Nobody: it is a domain of the node itself.
    case reserved
}

/// The domains of a node, prepared to judge many hosts.
struct NodeDomains: Sendable {
    /// The longest first, so that the first match is the longest.
    private let domains: [[UInt8]]

    init(_ domains: [String]) {
        self.domains = domains.map { Array($0.utf8) }.sorted { $0.count > $1.count }
    }

    /// Judges a host, perhaps with a leading `*.`, by the longest domain that it lies in.
    func authority(of host: String) -> HostAuthority {
        let bytes = Array(host.utf8)
        let start = bytes.starts(with: [0x2A, 0x2E]) ? 2 : 0
        guard let domain = domains.first(where: { Self.lies(bytes, from: start, in: $0) }) else { return .custom }
        let end = bytes.count - domain.count - 1
        guard end > start else { return .reserved }
        let name = bytes[start..<end]
        let label = name.lastIndex(of: 0x2E).map { $0 + 1 } ?? start
        return .managed(name: String(decoding: name[label...], as: UTF8.self))
    }

    /// Whether the bytes from `start` are a domain or, at a label boundary, a host below it.
    private static func lies(_ host: [UInt8], from start: Int, in domain: [UInt8]) -> Bool {
        let offset = host.count - domain.count
        guard offset >= start else { return false }
        var index = domain.count
        while index > 0 {
            index -= 1
            if host[offset + index] != domain[index] { return false }
        }
        return offset == start || host[offset - 1] == 0x2E
    }
}

extension ContractState {
    /// Who may use a host, perhaps with a leading `*.`, at a live node; nil for a node that is unknown or retired.
    public func authority(of host: String, at node: Identifier) -> HostAuthority? {
        (self.node(node)?.live).map { NodeDomains($0.details.domains).authority(of: host) }
    }
}
