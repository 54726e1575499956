import Contracts
import TestSupport
import Testing

@Suite("Routes of a node, moved from state to state")
struct NodeRoutesTests {
    /// Random contracts, names, reports, bills and times. States are skipped, times go back and forth, and after every move the
    /// routes must be those that the pure function gives.
    @Test("are after any moves what the route table gives", arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func walk(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var world = World()
        var routes = world.nodes.map { NodeRoutes(node: $0) }
        var known = routes.map(\.contracts)
        var seen = Seen()
        for step in 0..<400 {
            for _ in 0..<Int.random(in: 1...4, using: &random) { world.change(&random) }
            // Without a hash tree everything is made anew; with one, rows may have changed since it was hashed.
            if Int.random(in: 0..<3, using: &random) == 0 { _ = world.ledger.state.stateRoot() }
            for place in routes.indices where Bool.random(using: &random) {
                let time = world.ledger.now + [0, 0, 1, 50, 3000, -40].randomElement(using: &random)!
                let changed = routes[place].move(to: world.ledger.state, at: time)
                let table = RouteTable(state: world.ledger.state, node: world.nodes[place], at: time)
                let found = routes[place].contracts
                #expect(Self.sorted(found) == table.routes.map(Self.text), "seed \(seed), step \(step)")
                let ids = Set(found.keys).union(known[place].keys)
                #expect(changed == ids.filter { found[$0] != known[place][$0] }, "seed \(seed), step \(step)")
                known[place] = found
                seen.note(table.routes, changed)
                if let next = routes[place].nextChange {
                    #expect(next > time, "seed \(seed), step \(step)")
                    let later = RouteTable(state: world.ledger.state, node: world.nodes[place], at: next - 1)
                    #expect(later == table, "seed \(seed), step \(step): it changes before \(next)")
                }
            }
        }
        // The walk is worth its time only if it met what makes routes depend on others.
        #expect(
            seen.ranks > 1 && seen.managed && seen.modes.count >= 3 && seen.smallSteps > 50,
            "seed \(seed): \(seen)"
        )
    }

    private struct Seen {
        var ranks = 0
        var managed = false
        var modes: Set<RouteMode> = []
        var smallSteps = 0

        mutating func note(_ routes: [Route], _ changed: Set<Identifier>) {
            if (1...3).contains(changed.count) { smallSteps += 1 }
            for route in routes {
                modes.insert(route.mode)
                guard case .http(_, _, _, _, let auth, let rank) = route.target else { continue }
                ranks = max(ranks, rank)
                if auth == .name { managed = true }
            }
        }
    }

    /// A route as text. The walk's routes are ASCII, so that texts are ordered as their bytes are.
    private static func text(_ route: Route) -> String { String(decoding: route.canonical, as: UTF8.self) }

    private static func sorted(_ contracts: [Identifier: ContractRoutes]) -> [String] {
        contracts.values.flatMap { $0.routes.map(text) }.sorted()
    }

    /// Two nodes, three users and what they may do. Many attempts are refused; these are part of the walk.
    private struct World {
        var ledger = FoldLedger(limits: LedgerLimits(contracts: 40, grace: 600, names: 3))
        var farmer: FoldLedger.Account
        var users: [FoldLedger.Account] = []
        var nodes: [Identifier] = []
        var nodeVersions: [Int64] = [1, 1]
        var names: [(id: Identifier, owner: Int)] = []
        var contracts: [(id: Identifier, owner: Int, spec: ContractSpec)] = []
        var bills: Int64 = 0

        init() {
            farmer = ledger.twin()
            let farm = ledger.farm("farm-a", of: farmer)
            for _ in 0..<3 { users.append(ledger.twin()) }
            for _ in 0..<2 { nodes.append(ledger.node(of: farmer, farm: farm)) }
            for owner in 0..<3 { names.append((ledger.name("shop\(owner)", of: users[owner]), owner)) }
            let policy = PolicySetBody(
                auditorQuorum: 0,
                auditors: [],
                billing: [farmer.id],
                policy: WitnessPolicy("quorum none\n")!,
                version: 2
            )
            ledger.submitAsRoot(.policySet(policy))
        }

        mutating func change(_ random: inout SplitMix64) {
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<6: create(&random)
            case 6..<9: update(&random)
            case 9: cancel(&random)
            case 10..<13: report(&random)
            case 13: settle(&random)
            case 14: createName(&random)
            case 15: passName(&random)
            case 16: if Int.random(in: 0..<6, using: &random) == 0 { updateNode(&random) }
            default: ledger.tick(to: ledger.now + Timestamp.random(in: 1...40, using: &random))
            }
        }

        private func spec(_ owner: Int, _ random: inout SplitMix64) -> ContractSpec {
            let own = names.filter { $0.owner == owner }
            var exposes: [Expose] = []
            for place in 0..<Int.random(in: 1...3, using: &random) {
                let host = ["shop\(Int.random(in: 0..<4, using: &random)).gw.example.org", "h\(place).example.net"]
                    .randomElement(using: &random)!
                let port = UInt16.random(in: 1000...1999, using: &random)
                exposes.append(
                    Int.random(in: 0..<4, using: &random) == 0
                        ? FoldLedger.expose(tcp: PortRange(from: port, to: port), id: "e\(place)")
                        : FoldLedger.expose(host: host, id: "e\(place)")
                )
            }
            let gateways = nodes.filter { _ in Int.random(in: 0..<3, using: &random) > 0 }
            var spec = ledger.spec(
                gateways.isEmpty ? [nodes[0]] : gateways,
                exposes,
                names: own.isEmpty ? nil : own.map(\.id).sorted()
            )
            spec.notBefore = ledger.now + [0, 0, 0, 30].randomElement(using: &random)!
            spec.notAfter = spec.notBefore + Timestamp.random(in: 3600...9000, using: &random)
            return spec
        }

        private mutating func create(_ random: inout SplitMix64) {
            let owner = Int.random(in: 0..<users.count, using: &random)
            let spec = spec(owner, &random)
            guard ledger.submit(.contractCreate(ContractCreateBody(spec: spec)), as: users[owner]) == .ok else {
                return
            }
            contracts.append((ledger.last, owner, spec))
        }

        private mutating func update(_ random: inout SplitMix64) {
            guard let place = contracts.indices.randomElement(using: &random) else { return }
            var next = spec(contracts[place].owner, &random)
            if Bool.random(using: &random) {
                next = contracts[place].spec
                next.limits.conns += 1
            }
            next.version = (ledger.state.contract(contracts[place].id)?.version ?? 1) + 1
            if ledger.update(contracts[place].id, to: next, as: users[contracts[place].owner]) == .ok {
                contracts[place].spec = next
            }
        }

        private mutating func cancel(_ random: inout SplitMix64) {
            guard let contract = contracts.randomElement(using: &random) else { return }
            ledger.submit(.contractCancel(ContractCancelBody(contract: contract.id)), as: users[contract.owner])
        }

        private mutating func report(_ random: inout SplitMix64) {
            guard let contract = contracts.randomElement(using: &random) else { return }
            let pairs: [(StatusCode, StatusState)] = [
                (.accepted, .deployed), (.unsupportedValue, .rejected), (.suspendedForLaw, .suspended),
                (.backendUnreachable, .error),
            ]
            let (code, state) = pairs.randomElement(using: &random)!
            ledger.report(
                code,
                state,
                of: contract.id,
                at: nodes.randomElement(using: &random)!,
                version: ledger.state.contract(contract.id)?.version ?? 1,
                as: farmer
            )
        }

        private mutating func settle(_ random: inout SplitMix64) {
            guard let contract = contracts.randomElement(using: &random) else { return }
            bills += 1
            ledger.settle(contract.id, period: bills, funded: Bool.random(using: &random), as: farmer)
        }

        private mutating func createName(_ random: inout SplitMix64) {
            let owner = Int.random(in: 0..<users.count, using: &random)
            let name = "shop\(Int.random(in: 0..<4, using: &random))"
            guard ledger.submit(.nameCreate(NameCreateBody(name: name)), as: users[owner]) == .ok else { return }
            names.append((ledger.last, owner))
        }

        private mutating func passName(_ random: inout SplitMix64) {
            guard let place = names.indices.randomElement(using: &random) else { return }
            let (id, owner) = names[place]
            let other = (owner + 1) % users.count
            if Bool.random(using: &random) {
                let body = NameTransferBody(name: id, to: users[other].id)
                let code = ledger.submit(.nameTransfer(body), as: users[owner], with: [users[other].owner])
                if code == .ok { names[place].owner = other }
            } else if ledger.submit(.nameRelease(NameReleaseBody(name: id)), as: users[owner]) == .ok {
                names.remove(at: place)
            }
        }

        private mutating func updateNode(_ random: inout SplitMix64) {
            let place = Int.random(in: 0..<2, using: &random)
            let domains = [
                ["gw.example.org"], ["example.org", "gw.example.org"], ["gw.example.org", "shop1.gw.example.org"],
            ]
            let body = NodeUpdateBody(
                details: FoldLedger.details(domains: domains.randomElement(using: &random)!),
                node: nodes[place],
                version: nodeVersions[place] + 1
            )
            if ledger.submit(.nodeUpdate(body), as: farmer) == .ok { nodeVersions[place] += 1 }
        }
    }
}
