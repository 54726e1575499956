import HashTreeCollections

/// Everything that a node may serve at a time: a pure function of state, node and time (section 12.1).
public struct RouteTable: Hashable, Sendable {
    public let node: Identifier

    /// Ascending by canonical bytes.
    public let routes: [Route]

    /// The table of a node at a time; empty when the node is unknown or retired.
    public init(state: ContractState, node: Identifier, at time: Timestamp) {
        self.node = node
        routes = Self.ascending(Self.routes(state, node, time))
    }

    /// Sorts routes by their canonical bytes.
    ///
    /// Texts of one table begin alike for a hundred bytes and more, so they are compared eight bytes at a time. No text
    /// has a zero byte, so padding with zeros keeps the order.
    private static func ascending(_ routes: [Route]) -> [Route] {
        let keys = routes.enumerated().map { index, route in
            var words = [UInt64](repeating: 0, count: (route.canonical.count + 7) / 8)
            for (offset, byte) in route.canonical.enumerated() {
                words[offset / 8] |= UInt64(byte) << UInt64(56 - offset % 8 * 8)
            }
            return (words: words, index: index)
        }
        return keys.sorted { $0.words.lexicographicallyPrecedes($1.words) }.map { routes[$0.index] }
    }

    /// The canonical JSON of the table.
    public var canonical: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(contentsOf: #"{"node":""#.utf8)
        node.appendHex(to: &bytes)
        bytes.append(contentsOf: #"","routes":["#.utf8)
        for (index, route) in routes.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            bytes.append(contentsOf: route.canonical)
        }
        bytes.append(contentsOf: #"],"v":1}"#.utf8)
        return bytes
    }

    /// The route digest: SHA-256 of the canonical table.
    public var digest: Digest { .sha256(canonical) }

    private static func routes(_ state: ContractState, _ node: Identifier, _ time: Timestamp) -> [Route] {
        guard let row = state.node(node)?.live else { return [] }
        var contracts: [LiveContract] = []
        for id in state.indexes.contractsByNode[node] ?? [] {
            guard let contract = state.contract(id), let spec = contract.spec, spec.notBefore <= time,
                time < spec.notAfter
            else { continue }
            contracts.append(LiveContract(id: id, row: contract, spec: spec))
        }
        contracts.sort { $0.row.index < $1.row.index }
        var builder = RouteBuilder(state: state, id: node, node: row)
        for contract in contracts { builder.add(contract) }
        return builder.routes
    }
}

private struct LiveContract {
    var id: Identifier
    var row: ContractRow
    var spec: ContractSpec
}

/// Collects the routes of contracts, which are added in the order of their creation.
private struct RouteBuilder {
    private struct Claim {
        var count: Int
        var last: Identifier
    }

    let state: ContractState
    let id: Identifier
    let node: NodeRow
    let domains: NodeDomains
    var routes: [Route] = []
    /// Contracts so far that have a route for each host.
    private var claims: [String: Claim] = [:]

    init(state: ContractState, id: Identifier, node: NodeRow) {
        self.state = state
        self.id = id
        self.node = node
        domains = NodeDomains(node.details.domains)
    }

    mutating func add(_ contract: LiveContract) {
        let names = ownNames(contract)
        for expose in contract.spec.expose {
            for host in expose.hosts ?? [] {
                guard let auth = auth(of: host, names: names) else { continue }
                let rank = claim(host, for: contract.id)
                if expose.kind == .http {
                    let target = Route.Target.http(
                        host: host,
                        path: expose.path ?? "/",
                        tls: expose.tls ?? .terminate,
                        redirect: expose.redirect ?? false,
                        auth: auth,
                        rank: rank
                    )
                    add(target, contract, expose)
                } else {
                    add(.tls(host: host, auth: auth, rank: rank), contract, expose)
                }
            }
            for range in expose.ports ?? [] {
                add(.ports(from: range.from, to: range.to), contract, expose)
            }
        }
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

    /// The rank of a contract among those that claim a host.
    private mutating func claim(_ host: String, for contract: Identifier) -> Int {
        guard let claim = claims[host] else {
            claims[host] = Claim(count: 1, last: contract)
            return 0
        }
        if claim.last != contract { claims[host] = Claim(count: claim.count + 1, last: contract) }
        return claim.last == contract ? claim.count - 1 : claim.count
    }

    private func mode(_ contract: LiveContract) -> RouteMode {
        if contract.row.isInGrace { return .grace }
        guard let status = state.status(contract: contract.id, node: id) else { return .serve }
        if status.state == .suspended { return .suspended }
        return status.state == .rejected && status.version == contract.row.version ? .rejected : .serve
    }

    private mutating func add(_ target: Route.Target, _ contract: LiveContract, _ expose: Expose) {
        let spec = contract.spec
        var limits = spec.limits
        limits.bps = min(limits.bps, node.details.offer.bps)
        limits.conns = min(limits.conns, node.details.offer.conns)
        routes.append(
            Route(
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
        )
    }
}
