public import Contracts

/// What a gateway is told of the ledger at one height: its route table, how fresh it is, and what the table does not say.
public struct Publication: Sendable {
    public let node: Identifier
    public let routes: [Route]
    /// Entries behind the state.
    public let height: UInt64
    public let freshness: Freshness
    /// The live windows of the contracts in the table, enforced by the local clock until the next publication.
    public let windows: [Identifier: Range<Timestamp>]
    /// Suspended contracts whose visitors are told that it is for legal reasons.
    public let suspendedByLaw: Set<Identifier>
    /// The next time at which the table of the same state changes by itself; publish again then.
    public let nextChange: Timestamp?
    /// The state itself, by which agents are told why they are refused.
    let state: ContractState?

    /// From routes alone: windows and reasons stay unknown.
    public init(
        node: Identifier,
        routes: [Route],
        height: UInt64 = 0,
        freshness: Freshness = Freshness(quorumTime: nil),
        windows: [Identifier: Range<Timestamp>] = [:],
        suspendedByLaw: Set<Identifier> = []
    ) {
        self.node = node
        self.routes = routes
        self.height = height
        self.freshness = freshness
        self.windows = windows
        self.suspendedByLaw = suspendedByLaw
        nextChange = nil
        state = nil
    }

    /// From a verified state at a local time.
    public init(state: ContractState, node: Identifier, at now: Timestamp, freshness: Freshness) {
        self.node = node
        self.height = state.size
        self.freshness = freshness
        self.state = state
        routes = RouteTable(state: state, node: node, at: now).routes
        var windows: [Identifier: Range<Timestamp>] = [:]
        var suspended: Set<Identifier> = []
        var next: Timestamp?
        for id in state.contracts(node: node) {
            guard let spec = state.contract(id)?.spec, spec.notBefore < spec.notAfter else { continue }
            windows[id] = spec.notBefore..<spec.notAfter
            for time in [spec.notBefore, spec.notAfter] where time > now { next = min(next ?? time, time) }
            if let row = state.status(contract: id, node: node), row.state == .suspended, row.code == .suspendedForLaw {
                suspended.insert(id)
            }
        }
        self.windows = windows
        suspendedByLaw = suspended
        nextChange = next
    }

    /// The same publication with some routes left out.
    func keeping(_ routes: [Route]) -> Publication {
        Publication(copying: self, routes: routes)
    }

    private init(copying other: Publication, routes: [Route]) {
        node = other.node
        self.routes = routes
        height = other.height
        freshness = other.freshness
        windows = other.windows
        suspendedByLaw = other.suspendedByLaw
        nextChange = other.nextChange
        state = other.state
    }
}
