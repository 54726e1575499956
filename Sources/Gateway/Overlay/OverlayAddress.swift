internal import Contracts

/// A literal address of the Planetary network with a port: in 0200::/7 or 0400::/7, and nothing else that a gateway dials by itself.
///
/// Loopback, private, link-local and mapped addresses lie outside of both ranges; names are never looked up.
struct OverlayAddress: Hashable, Sendable, CustomStringConvertible {
    let socket: SocketAddress
    let ip: IPAddress

    /// Takes `[address]:port`; nil for any other form and for any other address.
    init?(_ text: String) {
        guard let socket = SocketAddress(text), case .v6(let high, let low, let port, 0) = socket, port > 0,
            Self.isOverlay(high)
        else { return nil }
        self.socket = socket
        ip = .v6(high, low)
    }

    /// Whether the upper half of an address lies in 0200::/7 or 0400::/7.
    private static func isOverlay(_ high: UInt64) -> Bool { high >> 57 == 0x01 || high >> 57 == 0x02 }

    var description: String { "[\(ip)]:\(socket.port)" }
}

/// A workload that a gateway dials, and the contract that it has to name: what a proof of control is about.
struct OverlaySubject: Hashable, Sendable {
    let contract: Identifier
    let address: OverlayAddress
    /// Exposures of kind tls are asked over TLS, those of kind http in plain.
    let isTLS: Bool
}

/// One backend of an overlay route.
struct OverlayBackend: Hashable, Sendable {
    /// Its id in the contract.
    let id: String
    let subject: OverlaySubject
    let weight: Int64

    /// The backends of a route that the gateway dials; empty for a route of agents.
    static func all(of route: Route) -> [OverlayBackend] {
        guard route.conn == .overlay else { return [] }
        return route.backends.compactMap { backend in
            guard case .address(let text) = backend.target, let address = OverlayAddress(text) else { return nil }
            let subject = OverlaySubject(contract: route.contract, address: address, isTLS: route.kind == .tls)
            return OverlayBackend(id: backend.id, subject: subject, weight: backend.weight)
        }
    }
}
