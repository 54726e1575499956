internal import Contracts

/// A route table made ready for look-ups: who is served here, by host, path, server name and port. Immutable.
///
/// A contract is taken or left as a whole: one with an expose that is not offered, or with a host that an earlier contract
/// owns, serves nothing, just as it will once the report about it is on the ledger.
struct RoutingIndex: Sendable {
    let publication: Publication
    /// Contracts that are taken, in the order of their slots.
    let contracts: [ServedContract]
    let routes: [ServedRoute]
    let http: HostIndex<PathIndex<ServedRoute>>
    let tls: HostIndex<ServedRoute>
    let ports: [LeasedPort: ServedRoute]
    let byKey: [RouteKey: ServedRoute]
    /// Slots of the contracts that are taken.
    let slots: [Identifier: Int]
    /// Backends that the gateway dials, of every overlay contract of the table, taken or not.
    let overlay: [Identifier: [OverlayBackend]]
    /// What became of every contract of the table.
    let verdicts: [ContractVerdict]

    /// - Parameter previous: the index in force, for the rule that a stale gateway binds nothing new.
    /// - Parameter seed: see `HostIndex`.
    init(_ publication: Publication, previous: RoutingIndex? = nil, at now: Timestamp, seed: UInt64 = 0) {
        var publication = publication
        if let previous, !publication.freshness.bindsNew(at: now) {
            publication = publication.keeping(publication.routes.filter { previous.byKey[RouteKey($0)] != nil })
        }
        self.publication = publication
        let admission = Admission(publication.routes)
        verdicts = admission.verdicts
        var contracts: [ServedContract] = []
        var routes: [ServedRoute] = []
        var slots: [Identifier: Int] = [:]
        var byKey: [RouteKey: ServedRoute] = [:]
        var ports: [LeasedPort: ServedRoute] = [:]
        var names: [String: ServedRoute] = [:]
        var hosts: [String: [(path: String, value: ServedRoute)]] = [:]
        var keys: [Identifier: Set<PublicKey>] = [:]
        var overlay: [Identifier: [OverlayBackend]] = [:]
        for route in publication.routes {
            for backend in OverlayBackend.all(of: route)
            where overlay[route.contract]?.contains(where: { $0.subject == backend.subject }) != true {
                overlay[route.contract, default: []].append(backend)
            }
            for backend in route.backends {
                if case .key(let key) = backend.target { keys[route.contract, default: []].insert(key) }
            }
        }
        for route in publication.routes where admission.taken.contains(route.contract) {
            let slot = slots[route.contract] ?? contracts.count
            if slot == contracts.count {
                contracts.append(
                    ServedContract(route, slot: slot, keys: keys[route.contract] ?? [], publication: publication)
                )
                slots[route.contract] = slot
            }
            guard Admission.isServable(route) else { continue }
            let served = ServedRoute(route, contract: contracts[slot], slot: routes.count)
            routes.append(served)
            byKey[served.key] = served
            switch route.target {
            case .http(let host, let path, _, _, _, _): hosts[host, default: []].append((path, served))
            case .tls(let host, _, _): names[host] = served
            case .ports(let from, let to): for port in from...to { ports[LeasedPort(port, route.kind)] = served }
            }
        }
        self.contracts = contracts
        self.routes = routes
        self.slots = slots
        self.overlay = overlay
        self.byKey = byKey
        self.ports = ports
        http = HostIndex(hosts.map { ($0.key, PathIndex($0.value)) }, seed: seed)
        tls = HostIndex(names.map { ($0.key, $0.value) }, seed: seed)
    }

    /// The taken contract of an id.
    func contract(_ id: Identifier) -> ServedContract? { slots[id].map { contracts[$0] } }
}
