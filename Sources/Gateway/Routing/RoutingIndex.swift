internal import Contracts
internal import HashTreeCollections

/// A route table made ready for look-ups: who is served here, by host, path, server name and port. Immutable.
///
/// A contract is taken or left as a whole: one with an expose that is not offered, or with a host that an earlier contract
/// owns, serves nothing, just as it will once the report about it is on the ledger.
///
/// The next index is made from the one before and the contracts that changed, and shares the rest with it.
struct RoutingIndex: Sendable {
    private(set) var context: TableContext
    /// Every contract of the table.
    private(set) var contracts: TreeDictionary<Identifier, IndexedContract> = [:]
    private(set) var http: HostIndex<PathIndex<ServedRoute>>
    private(set) var tls: HostIndex<ServedRoute>
    private(set) var ports: TreeDictionary<LeasedPort, ServedRoute> = [:]
    /// Backends that the gateway dials, of every overlay contract of the table, taken or not.
    private(set) var overlay: TreeDictionary<Identifier, [OverlayBackend]> = [:]
    /// The shortest age of the state at which some contract may have come to its end, in seconds.
    private(set) var shortestStale = Freshness.drainsEverythingAfter
    /// Contracts that ask for a managed host, taken or not.
    private var claimants: TreeDictionary<String, [Identifier]> = [:]
    /// What the ledger has of contracts that wait, in part or as a whole, for a fresh state.
    private var waiting: TreeDictionary<Identifier, ContractRoutes> = [:]
    /// Whether some table was taken, so that a stale one may be told from the first.
    private var isFirst = true

    /// An index without contracts.
    ///
    /// - Parameter seed: see `HostIndex`.
    init(node: Identifier, seed: UInt64) {
        context = TableContext(node: node, height: 0, freshness: Freshness(quorumTime: nil), state: nil)
        http = HostIndex(seed: seed)
        tls = HostIndex(seed: seed)
    }

    /// A contract that is taken.
    func contract(_ id: Identifier) -> ServedContract? { contracts[id]?.served }

    /// What became of a contract of the table.
    func verdict(of id: Identifier) -> ContractVerdict? { contracts[id]?.verdict }

    /// The route that is served on a port.
    func route(_ port: LeasedPort) -> ServedRoute? { ports[port] }

    /// The route that is served under a key.
    func route(_ key: RouteKey) -> ServedRoute? { contracts[key.contract]?.routes.first { $0.key == key } }

    /// Why a contract serves nobody at a time; nil when it serves.
    func refusal(of contract: ServedContract, at now: Timestamp) -> VisitorRefusal? {
        contract.refusal(at: now, context.freshness)
    }

    /// Whether the state is so old that some contract may have ended by it.
    func mayBeStale(at now: Timestamp) -> Bool {
        context.freshness.age(at: now).map { $0 > shortestStale } ?? false
    }

    // MARK: The next index

    /// Goes over to a whole table.
    mutating func take(_ publication: Publication, at now: Timestamp) -> TableDiff {
        var changes: [Identifier: ContractRoutes?] = [:]
        for (id, routes) in publication.contracts where known(id) != routes { changes[id] = routes }
        for id in contracts.keys where publication.contracts[id] == nil { changes[id] = .some(nil) }
        for id in waiting.keys where publication.contracts[id] == nil { changes[id] = .some(nil) }
        return take(changes, publication.context, at: now)
    }

    private func known(_ id: Identifier) -> ContractRoutes? { waiting[id] ?? contracts[id]?.source }

    /// Goes over to the table in which some contracts have other routes, nil for none, than in this one.
    mutating func take(
        _ changes: [Identifier: ContractRoutes?],
        _ context: TableContext,
        at now: Timestamp
    ) -> TableDiff {
        let before = self
        self.context = context
        let bindsNew = isFirst || context.freshness.bindsNew(at: now)
        isFirst = false
        var changes = changes
        if bindsNew {
            for (id, routes) in waiting where changes[id] == nil { changes[id] = routes }
        }
        var sources: [Identifier: ContractRoutes] = [:]
        let members = members(of: changes)
        for id in members {
            let source = changes[id] ?? known(id)
            let bound = bindsNew ? source : source.flatMap { rest(of: $0, contracts[id]) }
            waiting[id] = bound == source ? nil : source
            sources[id] = bound
        }
        let admission = Admission(sources.values.flatMap(\.routes))
        var fresh: [Identifier: IndexedContract?] = [:]
        for id in members {
            guard let source = sources[id], let verdict = admission.verdicts[id] else {
                if contracts[id] != nil { fresh[id] = .some(nil) }
                continue
            }
            if let old = contracts[id], old.source == source, old.verdict == verdict { continue }
            fresh[id] = IndexedContract(source, verdict)
        }
        replace(fresh)
        return TableDiff(from: before, to: self, changed: Set(fresh.keys))
    }

    /// A gateway whose state is stale binds nothing new: what is left of a contract is what it is served with already.
    private func rest(of source: ContractRoutes, _ old: IndexedContract?) -> ContractRoutes? {
        let routes = source.routes.filter { route in
            let key = RouteKey(route)
            return old?.routes.contains { $0.key == key } ?? false
        }
        guard !routes.isEmpty else { return nil }
        return ContractRoutes(
            contract: source.contract,
            routes: routes,
            window: source.window,
            isSuspendedByLaw: source.isSuspendedByLaw
        )
    }

    /// The contracts that changed, and all that may win or lose a host by that: those that ask for the same hosts, and so on.
    private func members(of changes: [Identifier: ContractRoutes?]) -> Set<Identifier> {
        var members = Set(changes.keys)
        var queue = Array(members)
        while let id = queue.popLast() {
            for source in [changes[id] ?? nil, contracts[id]?.source] {
                for host in source?.managedHosts ?? [] {
                    for other in claimants[host] ?? [] where members.insert(other).inserted { queue.append(other) }
                }
            }
        }
        return members
    }

    private mutating func replace(_ fresh: [Identifier: IndexedContract?]) {
        var names: [String: ServedRoute?] = [:]
        var hosts: [String: PathIndex<ServedRoute>?] = [:]
        for (id, contract) in fresh {
            let old = contracts[id]
            for route in old?.routes ?? [] {
                switch route.route.target {
                case .http(let host, _, _, _, _, _): hosts[host] = .some(nil)
                case .tls(let host, _, _): names[host] = .some(nil)
                case .ports(let from, let to):
                    for port in from...to { ports[LeasedPort(port, route.route.kind)] = nil }
                }
            }
            for host in old?.source.managedHosts ?? [] {
                claimants[host]?.removeAll { $0 == id }
                if claimants[host]?.isEmpty == true { claimants[host] = nil }
            }
            for host in contract?.source.managedHosts ?? [] { claimants[host, default: []].append(id) }
            contracts[id] = contract
            let backends = contract?.source.overlayBackends ?? []
            overlay[id] = backends.isEmpty ? nil : backends
        }
        for contract in fresh.values.compactMap({ $0 }) {
            var paths: [String: [(path: String, value: ServedRoute)]] = [:]
            for route in contract.routes {
                switch route.route.target {
                case .http(let host, let path, _, _, _, _): paths[host, default: []].append((path, route))
                case .tls(let host, _, _): names[host] = route
                case .ports(let from, let to):
                    for port in from...to { ports[LeasedPort(port, route.route.kind)] = route }
                }
            }
            for (host, paths) in paths { hosts[host] = PathIndex(paths) }
            if let served = contract.served { shortestStale = min(shortestStale, served.longestAge) }
        }
        http.set(hosts)
        tls.set(names)
    }
}

/// A contract of the table and what became of it. Immutable.
final class IndexedContract: Sendable {
    let source: ContractRoutes
    let verdict: ContractVerdict
    /// Nil when it is not taken.
    let served: ServedContract?
    /// What is served: nothing of a contract that is not taken.
    let routes: [ServedRoute]

    init(_ source: ContractRoutes, _ verdict: ContractVerdict) {
        self.source = source
        self.verdict = verdict
        guard verdict.isTaken else {
            served = nil
            routes = []
            return
        }
        let contract = ServedContract(source)
        served = contract
        routes = source.routes.filter(Admission.isServable).map { ServedRoute($0, contract: contract) }
    }
}

extension ContractRoutes {
    /// Backends that the gateway dials, each once.
    fileprivate var overlayBackends: [OverlayBackend] {
        var backends: [OverlayBackend] = []
        for backend in routes.flatMap(OverlayBackend.all(of:))
        where !backends.contains(where: { $0.subject == backend.subject }) {
            backends.append(backend)
        }
        return backends
    }

    /// Hosts that the contract asks for by a name of the ledger, each once or more often.
    fileprivate var managedHosts: [String] {
        routes.compactMap { route in
            switch route.target {
            case .http(let host, _, _, _, .name, _), .tls(let host, .name, _): host
            default: nil
            }
        }
    }
}
