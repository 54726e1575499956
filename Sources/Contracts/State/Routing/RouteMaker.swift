/// Makes the routes of one contract at a live node, all but the ranks of its hosts, which depend on other contracts.
struct RouteMaker {
    /// A contract whose window holds the time.
    struct LiveContract {
        var id: Identifier
        var row: ContractRow
        var spec: ContractSpec
    }

    let state: ContractState
    let id: Identifier
    let node: NodeRow
    private let domains: NodeDomains

    /// Nil when the node is unknown or retired.
    init?(state: ContractState, node id: Identifier) {
        guard let row = state.node(id)?.live else { return nil }
        self.state = state
        self.id = id
        node = row
        domains = NodeDomains(row.details.domains)
    }

    /// A contract that names the node and may have routes at a time.
    func contract(_ id: Identifier, at time: Timestamp) -> LiveContract? {
        guard let row = state.contract(id), let spec = row.spec, spec.notBefore <= time, time < spec.notAfter,
            spec.gateways.contains(self.id)
        else { return nil }
        return LiveContract(id: id, row: row, spec: spec)
    }

    /// Hosts for which the contract has a route, each once.
    func hosts(of contract: LiveContract) -> [String] {
        let names = ownNames(contract)
        var hosts: Set<String> = []
        for expose in contract.spec.expose {
            for host in expose.hosts ?? [] where auth(of: host, names: names) != nil { hosts.insert(host) }
        }
        return Array(hosts)
    }

    /// The routes in the order of the exposures.
    ///
    /// - Parameter rank: the contract's place among those that claim a host, in the order of their creation.
    func routes(of contract: LiveContract, rank: (String) -> Int) -> [Route] {
        let names = ownNames(contract)
        var routes: [Route] = []
        for expose in contract.spec.expose {
            for host in expose.hosts ?? [] {
                guard let auth = auth(of: host, names: names) else { continue }
                let rank = rank(host)
                guard expose.kind == .http else {
                    routes.append(route(.tls(host: host, auth: auth, rank: rank), contract, expose))
                    continue
                }
                let target = Route.Target.http(
                    host: host,
                    path: expose.path ?? "/",
                    tls: expose.tls ?? .terminate,
                    redirect: expose.redirect ?? false,
                    auth: auth,
                    rank: rank
                )
                routes.append(route(target, contract, expose))
            }
            for range in expose.ports ?? [] {
                routes.append(route(.ports(from: range.from, to: range.to), contract, expose))
            }
        }
        return routes
    }

    /// Names that the contract may use: those it lists whose rows still belong to its owner.
    private func ownNames(_ contract: LiveContract) -> [String] {
        (contract.spec.nameContracts ?? []).compactMap { id in
            guard let row = state.name(id), row.owner == contract.row.owner else { return nil }
            return row.name
        }
    }

    private func auth(of host: String, names: [String]) -> HostAuth? {
        switch domains.authority(of: host) {
        case .custom: .dns
        case .managed(let name): names.contains(name) ? .name : nil
        case .reserved: nil
        }
    }

    private func mode(_ contract: LiveContract) -> RouteMode {
        if contract.row.isInGrace { return .grace }
        guard let status = state.status(contract: contract.id, node: id) else { return .serve }
        if status.state == .suspended { return .suspended }
        return status.state == .rejected && status.version == contract.row.version ? .rejected : .serve
    }

    private func route(_ target: Route.Target, _ contract: LiveContract, _ expose: Expose) -> Route {
        let spec = contract.spec
        var limits = spec.limits
        limits.bps = min(limits.bps, node.details.offer.bps)
        limits.conns = min(limits.conns, node.details.offer.conns)
        return Route(
            contract: contract.id,
            expose: expose.id,
            kind: expose.kind,
            mode: mode(contract),
            conn: spec.conn,
            backends: spec.backends.filter { expose.backends.contains($0.id) },
            balance: expose.balance ?? .roundRobin,
            allow: expose.allow ?? [],
            deny: expose.deny ?? [],
            drain: spec.drain ?? 60,
            maxStale: spec.maxStale ?? 259_200,
            limits: limits,
            proxy: Int(expose.proxy ?? 0),
            version: contract.row.version,
            target: target
        )
    }
}
