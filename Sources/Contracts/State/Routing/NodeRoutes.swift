import HashTreeCollections

/// The routes of a node, contract by contract, moved from state to state at the cost of what changed.
///
/// After any moves it holds what `RouteTable` gives for the last state and time: that function says what is right, this says it
/// fast. A change of the node's own row, or of the ledger, makes everything anew.
public struct NodeRoutes: Sendable {
    public let node: Identifier

    /// Contracts that have a route.
    public private(set) var contracts: [Identifier: ContractRoutes] = [:]

    /// The next time at which the routes of the same state change by themselves, or an earlier one; nil for none.
    public private(set) var nextChange: Timestamp?

    private var state = ContractState()
    private var time: Timestamp = 0
    /// Windows of all contracts that name the node, whether they hold the time or not.
    private var windows: [Identifier: Range<Timestamp>] = [:]
    private var parts: [Identifier: Part] = [:]
    /// Contracts that claim a host, in the order of their creation.
    private var claims: [String: [Claim]] = [:]
    /// Live contracts that list a name.
    private var users: [Identifier: Set<Identifier>] = [:]

    /// What a live contract put into the look-ups.
    private struct Part {
        var index: Int64
        var hosts: [String]
        var names: [Identifier]
    }

    private struct Claim {
        var index: Int64
        var contract: Identifier
    }

    /// The routes of a node without a ledger: none.
    public init(node: Identifier) { self.node = node }

    /// Moves to a state, earlier or later, and a time. Returns the contracts whose routes came, went or changed.
    public mutating func move(to state: ContractState, at time: Timestamp) -> Set<Identifier> {
        let before = (state: self.state, time: self.time)
        self.state = state
        self.time = time
        guard state.ledgerID == before.state.ledgerID, state.node(node) == before.state.node(node),
            let changed = state.changedRows(since: before.state)
        else { return restart() }
        var suspects: Set<Identifier> = []
        for key in changed {
            switch key {
            case .contract(let id): if concerns(id) { suspects.insert(id) }
            case .status(let id, let node): if node == self.node { suspects.insert(id) }
            case .name(let id): suspects.formUnion(users[id] ?? [])
            default: break
            }
        }
        if time < before.time || nextChange.map({ $0 <= time }) ?? false {
            for (id, window) in windows where window.contains(time) != window.contains(before.time) {
                suspects.insert(id)
            }
            nextChange = nil
            for window in windows.values { expect(window) }
        }
        return refresh(suspects)
    }

    /// Everything anew.
    private mutating func restart() -> Set<Identifier> {
        let before = contracts
        self = NodeRoutes(node: node, state: state, time: time)
        let fresh = refresh(Set(state.indexes.contractsByNode[node] ?? []))
        return fresh.union(before.keys).filter { before[$0] != contracts[$0] }
    }

    private init(node: Identifier, state: ContractState, time: Timestamp) {
        self.init(node: node)
        self.state = state
        self.time = time
    }

    /// Whether a contract has, or had, anything to do with the node.
    private func concerns(_ id: Identifier) -> Bool {
        windows[id] != nil || state.contract(id)?.spec?.gateways.contains(node) == true
    }

    /// The window's ends are times at which something changes.
    private mutating func expect(_ window: Range<Timestamp>) {
        let end = window.lowerBound > time ? window.lowerBound : window.upperBound
        if end > time { nextChange = min(nextChange ?? end, end) }
    }

    // MARK: Some contracts

    private mutating func refresh(_ suspects: Set<Identifier>) -> Set<Identifier> {
        guard !suspects.isEmpty, let maker = RouteMaker(state: state, node: node) else { return [] }
        var moved = suspects
        for id in suspects {
            windows[id] = window(of: id)
            if let window = windows[id] { expect(window) }
            let part = maker.contract(id, at: time).map { contract in
                Part(
                    index: contract.row.index,
                    hosts: maker.hosts(of: contract),
                    names: contract.spec.nameContracts ?? []
                )
            }
            // Those who claim the same hosts may have another rank.
            for host in replace(id, with: part) { for claim in claims[host] ?? [] { moved.insert(claim.contract) } }
        }
        return moved.filter { id in
            let fresh = routes(of: id, maker)
            guard fresh != contracts[id] else { return false }
            contracts[id] = fresh
            return true
        }
    }

    private func window(of id: Identifier) -> Range<Timestamp>? {
        guard let spec = state.contract(id)?.spec, spec.gateways.contains(node), spec.notBefore < spec.notAfter else {
            return nil
        }
        return spec.notBefore..<spec.notAfter
    }

    /// Puts a contract into the look-ups in place of what it was there. Returns hosts that it claims now and did not, or did.
    private mutating func replace(_ id: Identifier, with part: Part?) -> Set<String> {
        let old = parts[id]
        parts[id] = part
        for name in old?.names ?? [] {
            users[name]?.remove(id)
            if users[name]?.isEmpty == true { users[name] = nil }
        }
        for name in part?.names ?? [] { users[name, default: []].insert(id) }
        let (before, after) = (Set(old?.hosts ?? []), Set(part?.hosts ?? []))
        for host in before.subtracting(after) {
            claims[host]?.removeAll { $0.contract == id }
            if claims[host]?.isEmpty == true { claims[host] = nil }
        }
        if let part {
            for host in after.subtracting(before) {
                var list = claims[host] ?? []
                let place = list.firstIndex { $0.index > part.index } ?? list.count
                list.insert(Claim(index: part.index, contract: id), at: place)
                claims[host] = list
            }
        }
        return before.symmetricDifference(after)
    }

    private func routes(of id: Identifier, _ maker: RouteMaker) -> ContractRoutes? {
        guard let contract = maker.contract(id, at: time), let window = windows[id] else { return nil }
        let routes = maker.routes(of: contract) { host in
            claims[host]?.firstIndex { $0.contract == id } ?? 0
        }
        guard !routes.isEmpty else { return nil }
        let status = state.status(contract: id, node: node)
        return ContractRoutes(
            contract: id,
            routes: routes,
            window: window,
            isSuspendedByLaw: status?.state == .suspended && status?.code == .suspendedForLaw
        )
    }
}
