internal import Contracts

/// Who came, and where to. Immutable, moves between loops with its connection.
final class Visitor: Sendable {
    let peer: SocketAddress
    let local: SocketAddress
    let fields: VisitorFields
    /// Loops that passed the connection on.
    let hops: Int
    /// The agent that a loop chose before it passed the connection on.
    let agent: PublicKey?

    init(peer: SocketAddress, local: SocketAddress, hops: Int = 0, agent: PublicKey? = nil) {
        self.peer = peer
        self.local = local
        self.hops = hops
        self.agent = agent
        fields = VisitorFields(address: peer.host, port: local.port)
    }

    /// The address that allow and deny lists are asked about.
    var address: IPAddress? { Self.address(of: peer) }

    /// The visitor as the loop meets it that has a session of the chosen agent.
    func passedOn(to agent: PublicKey) -> Visitor { Visitor(peer: peer, local: local, hops: hops + 1, agent: agent) }

    /// The PROXY header of a version; empty for 0.
    func proxyHeader(_ version: Int, isDatagram: Bool = false) -> [UInt8] {
        guard version > 0, let source = address, let destination = Self.address(of: local) else { return [] }
        return ProxyHeader.bytes(
            version: version,
            source: (source, peer.port),
            destination: (destination, local.port),
            isDatagram: isDatagram
        )
    }

    private static func address(of socket: SocketAddress) -> IPAddress? {
        switch socket {
        case .v4(let address, _): .v4(address)
        case .v6(let high, let low, _, _): .v6(high, low)
        case .unix: nil
        }
    }
}
