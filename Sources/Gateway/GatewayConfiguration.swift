public import Contracts

/// What a gateway needs before it starts. Addresses are numeric, `ip:port` or `[ip]:port`; port 0 lets the system choose.
public struct GatewayConfiguration: Sendable {
    /// The node that this gateway is on the ledger.
    public var node: Identifier
    /// The key that agents pin as the node's `transport_key`.
    public var transportKey: SigningKey
    /// Where visitors of `tls: none` http exposures come in.
    public var http: [String] = []
    /// Where visitors of tls exposures come in; they are told apart by server name and passed through.
    public var https: [String] = []
    /// Where agents come in.
    public var tunnel: [String] = []
    /// Local addresses on which leased ports are opened, without port.
    public var ports: [String] = ["0.0.0.0"]
    /// Path of the Unix socket of the admin interface; nil for none.
    public var admin: String?
    /// Event loops, one thread each.
    public var loops = 1
    public var limits = GatewayLimits()

    public init(node: Identifier, transportKey: SigningKey) {
        self.node = node
        self.transportKey = transportKey
    }
}
