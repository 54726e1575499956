/// Where an agent takes the visitors of an exposure: `127.0.0.1:8080`, `[::1]:80`, `name:port` or `unix:/path`; the first three also over TLS, as
/// `tls://name:port`.
public struct ForwardTarget: Hashable, Sendable, CustomStringConvertible {
    enum Place: Hashable, Sendable {
        case address(SocketAddress)
        /// Looked up for every connection (remembered for seconds), because names of local services move.
        case name(String, port: UInt16)
    }

    let place: Place
    /// How the agent finds out whether the service works; nil for no check.
    public var check: HealthCheck?
    /// How the workload is known that is reached over TLS; nil for one that is reached in plain.
    public var trust: WorkloadTrust?

    private static let scheme = "tls://"

    /// Nil for anything that is none of the forms.
    public init?(_ text: String) {
        guard text.utf8.starts(with: Self.scheme.utf8) else {
            self.init(plain: text)
            return
        }
        self.init(plain: String(text.dropFirst(Self.scheme.count)))
        if case .address(.unix) = place { return nil }
        trust = WorkloadTrust()
    }

    private init?(plain text: String) {
        if let address = SocketAddress(text) {
            if case .unix = address {} else if address.port == 0 { return nil }
            place = .address(address)
            return
        }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let portText = text.utf8[text.utf8.index(after: colon)...]
        let host = text[..<colon]
        guard portText.allSatisfy({ $0 >= 48 && $0 <= 57 }), let port = UInt16(String(portText) ?? ""), port > 0,
            !host.isEmpty, host.utf8.count <= 253, host.utf8.contains(where: { !($0 >= 48 && $0 <= 57 || $0 == 46) }),
            host.utf8.allSatisfy(Self.isHostByte)
        else { return nil }
        place = .name(String(host), port: port)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122, 45, 46, 95: true
        default: false
        }
    }

    /// What the certificate of a workload has to name.
    var serverName: String {
        if let name = trust?.name { return name }
        switch place {
        case .address(let address): return address.host
        case .name(let host, _): return host
        }
    }

    public var description: String {
        let text =
            switch place {
            case .address(let address): address.description
            case .name(let host, let port): "\(host):\(port)"
            }
        return trust == nil ? text : Self.scheme + text
    }
}

extension ForwardTarget {
    /// Whether exposures of a kind may lead here. TLS to the workload is for streams that are not TLS of the visitor's own already.
    public func mayServe(_ kind: String) -> Bool { trust == nil || kind == "http" || kind == "tcp" }
}
