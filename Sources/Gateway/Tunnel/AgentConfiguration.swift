public import Contracts

/// What an agent serves and as whom.
public struct AgentConfiguration: Sendable {
    /// The backend's key: the agent's identity at every gateway.
    public var key: SigningKey
    /// Contract, then exposure, then the local target. This is also the allow-list: nothing else is ever dialed.
    public var contracts: [Identifier: [String: ForwardTarget]]
    /// Connections to each gateway, 1 to 8.
    public var slots: Int
    /// Name and version told to the gateways.
    public var agent: String
    /// Bytes kept at most for local services that do not keep up.
    public var stuckLimit: Int
    /// What an earlier process of this agent counted.
    public var usage = UsageBook()

    public init(
        key: SigningKey,
        contracts: [Identifier: [String: ForwardTarget]],
        slots: Int = 2,
        agent: String = "gw-node",
        stuckLimit: Int = 256 << 20
    ) {
        self.key = key
        self.contracts = contracts
        self.slots = max(1, min(slots, Int(Hello.mostSlots)))
        self.agent = agent
        self.stuckLimit = stuckLimit
    }
}

/// A gateway to dial, as the agent's verified copy of the ledger has it.
public struct GatewayEndpoint: Hashable, Sendable {
    public var node: Identifier
    /// Name or numeric address, without brackets.
    public var host: String
    public var port: UInt16
    /// The only key the gateway may present.
    public var transportKey: PublicKey

    public init(node: Identifier, host: String, port: UInt16, transportKey: PublicKey) {
        self.node = node
        self.host = host
        self.port = port
        self.transportKey = transportKey
    }
}

/// News of one connection to a gateway.
public struct AgentEvent: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        /// The connection is being made.
        case dialing
        /// The gateway answered: what it serves, what it refuses. Comes again when that changes.
        case serving(accepted: [Identifier], refused: [Refusal])
        /// The gateway asked to go elsewhere; running streams go on for a while.
        case goneAway(GoAwayCode, message: String)
        /// The connection failed or ended; the agent dials again after `retry`.
        case lost(reason: String, retry: Duration)
    }

    public var gateway: Identifier
    public var slot: Int
    public var state: State

    public init(gateway: Identifier, slot: Int, state: State) {
        self.gateway = gateway
        self.slot = slot
        self.state = state
    }
}
