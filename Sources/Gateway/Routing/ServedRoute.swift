internal import Contracts

/// What names a route across tables: it is the same route as long as these are the same.
struct RouteKey: Hashable, Sendable {
    var contract: Identifier
    var expose: String
    var kind: ExposeKind
    /// Host and path, or the range of ports.
    var place: String

    init(_ route: Route) {
        contract = route.contract
        expose = route.expose
        kind = route.kind
        switch route.target {
        case .http(let host, let path, _, _, _, _): place = host + path
        case .tls(let host, _, _): place = host
        case .ports(let from, let to): place = "\(from)-\(to)"
        }
    }
}

/// A contract as the gateway serves it; immutable, shared by its routes.
final class ServedContract: Sendable {
    let terms: ServingTerms
    let id: Identifier
    let version: Int64
    let conn: ConnectionMode
    let drain: Int64
    let conns: Int64
    /// Keys of all agents that may serve the contract.
    let keys: Set<PublicKey>
    let connRate: Int64?
    /// Bits per second in each direction.
    let bps: Int64
    let periodLimit: SharedUsage.Limit?

    init(_ source: ContractRoutes) {
        var keys: Set<PublicKey> = []
        for backend in source.routes.flatMap(\.backends) {
            if case .key(let key) = backend.target { keys.insert(key) }
        }
        self.keys = keys
        let route = source.routes[0]
        id = source.contract
        version = route.version
        conn = route.conn
        drain = route.drain
        conns = route.limits.conns
        connRate = route.limits.connRate
        bps = route.limits.bps
        terms = ServingTerms(source)
        if let bytes = route.limits.bytesPeriod, let period = route.limits.period {
            periodLimit = SharedUsage.Limit(bytes: bytes, period: max(1, period), start: source.window.lowerBound)
        } else {
            periodLimit = nil
        }
    }

    /// The live window of the contract; everything when it is not known.
    var window: Range<Timestamp> { terms.window }
    /// Age of the verified state in seconds above which it is too old for this contract.
    var longestAge: Int64 { terms.longestAge }

    /// Why the contract serves nobody at a time, with a state of this freshness; nil when it serves.
    func refusal(at now: Timestamp, _ freshness: Freshness) -> VisitorRefusal? {
        terms.refusal(at: now + freshness.clockLag, age: freshness.age(at: now))
    }
}

/// A route as the gateway serves it; immutable, handed to flows by reference.
final class ServedRoute: Sendable {
    // What every question asks for comes first, so that it lies together.
    /// Those of the contract.
    let terms: ServingTerms
    let contract: ServedContract
    /// Whether no address is denied and none named.
    private let admitsAll: Bool
    let route: Route
    let key: RouteKey
    /// Keys of the agents that may serve it, with their weights.
    let backends: [(key: PublicKey, weight: Int64)]
    /// Workloads that the gateway dials, of an overlay contract.
    let overlay: [OverlayBackend]

    init(_ route: Route, contract: ServedContract) {
        terms = contract.terms
        self.contract = contract
        admitsAll = route.deny.isEmpty && route.allow.isEmpty
        self.route = route
        key = RouteKey(route)
        backends = route.backends.compactMap { backend in
            if case .key(let key) = backend.target { return (key, backend.weight) }
            return nil
        }
        overlay = OverlayBackend.all(of: route)
    }

    /// Whether a workload is one of the route's.
    func has(_ backend: Backend.Target) -> Bool { route.backends.contains { $0.target == backend } }

    /// Whether a visitor's address may use the route: deny wins, and an allow list that does not name it refuses.
    func admits(_ address: IPAddress?) -> Bool {
        if admitsAll { return true }
        guard let address else { return false }
        if route.deny.contains(where: { $0.contains(address) }) { return false }
        return route.allow.isEmpty || route.allow.contains { $0.contains(address) }
    }
}
