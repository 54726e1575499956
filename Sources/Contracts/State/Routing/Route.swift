/// What a gateway may do with a route (section 12.1).
public enum RouteMode: String, Hashable, Sendable {
    case serve
    /// The contract is unfunded: agents stay, visitors are refused.
    case grace
    case suspended
    /// The gateway said no to this version: as if the route were absent.
    case rejected
}

/// How the right to a host is proven.
public enum HostAuth: String, Hashable, Sendable {
    /// By a DNS record that names the contract.
    case dns
    /// By a name of the ledger.
    case name
}

/// One way into one contract at one node, with every default filled in.
public struct Route: Hashable, Sendable {
    /// What visitors ask for.
    public enum Target: Hashable, Sendable {
        case http(host: String, path: String, tls: HTTPTLS, redirect: Bool, auth: HostAuth, rank: Int)
        case tls(host: String, auth: HostAuth, rank: Int)
        case ports(from: UInt16, to: UInt16)
    }

    public let contract: Identifier
    /// Id of the expose in the contract.
    public let expose: String
    public let kind: ExposeKind
    public let mode: RouteMode
    public let conn: ConnectionMode
    /// Ascending by id.
    public let backends: [Backend]
    public let balance: Balance
    /// Empty allows all.
    public let allow: [CIDR]
    public let deny: [CIDR]
    /// Seconds that running streams get when the route ends.
    public let drain: Int64
    /// Seconds without a fresh quorum after which the route ends.
    public let maxStale: Int64
    /// Those of the contract, bounded by the node's offer.
    public let limits: ContractLimits
    /// Version of the PROXY protocol towards the workload; 0 sends none.
    public let proxy: Int
    /// Version of the contract.
    public let version: Int64
    public let target: Target
    /// The canonical JSON of the route, by which routes are ordered.
    public private(set) var canonical: [UInt8]

    public init(
        contract: Identifier,
        expose: String,
        kind: ExposeKind,
        mode: RouteMode,
        conn: ConnectionMode,
        backends: [Backend],
        balance: Balance = .roundRobin,
        allow: [CIDR] = [],
        deny: [CIDR] = [],
        drain: Int64 = 60,
        maxStale: Int64 = 259_200,
        limits: ContractLimits,
        proxy: Int = 0,
        version: Int64,
        target: Target
    ) {
        self.contract = contract
        self.expose = expose
        self.kind = kind
        self.mode = mode
        self.conn = conn
        self.backends = backends
        self.balance = balance
        self.allow = allow
        self.deny = deny
        self.drain = drain
        self.maxStale = maxStale
        self.limits = limits
        self.proxy = proxy
        self.version = version
        self.target = target
        canonical = []
        canonical = text
    }
}
