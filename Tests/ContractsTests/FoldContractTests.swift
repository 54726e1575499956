import Contracts
import Testing

@Suite("Fold: contracts")
struct FoldContractTests {
    /// A farmer with two nodes and a user.
    private struct Scene {
        var ledger = FoldLedger()
        var farmer: FoldLedger.Account
        var user: FoldLedger.Account
        var farm: Identifier
        var nodes: [Identifier]

        init(_ offers: [Offer] = [FoldLedger.offer(), FoldLedger.offer()]) {
            farmer = ledger.twin()
            user = ledger.twin()
            farm = ledger.farm("farm-a", of: farmer)
            nodes = []
            for offer in offers { nodes.append(ledger.node(of: farmer, farm: farm, offer: offer)) }
        }

        func ports(_ nodes: [Identifier], _ from: UInt16, _ to: UInt16, version: Int64 = 1) -> ContractSpec {
            ledger.spec(nodes, [FoldLedger.expose(tcp: PortRange(from: from, to: to))], version: version)
        }

        mutating func create(_ spec: ContractSpec, with others: [SigningKey] = []) -> Code {
            ledger.submit(.contractCreate(ContractCreateBody(spec: spec)), as: user, with: others)
        }
    }

    @Test("the checks come in the order C1 to C6, then the quota")
    func checkOrder() {
        var scene = Scene()
        let retired = scene.ledger.node(of: scene.farmer, farm: scene.farm)
        #expect(scene.ledger.submit(.nodeRetire(NodeRetireBody(node: retired)), as: scene.farmer) == .ok)
        let foreign = scene.ledger.name("foreign", of: scene.farmer)
        var spec = scene.ports([scene.nodes[0]], 5000, 5001)
        spec.expose.append(FoldLedger.expose(host: "gw.example.org", id: "web"))
        spec.expose.append(FoldLedger.expose(host: "shop.gw.example.org", id: "web2"))
        spec.gateways = [scene.nodes[0], .zero].sorted()
        spec.nameContracts = [.zero]
        spec.notAfter = scene.ledger.now + 100_000_000
        spec.limits.conns = 1001
        #expect(scene.create(spec) == .nodeUnknown)
        spec.gateways = [scene.nodes[0], retired].sorted()
        #expect(scene.create(spec) == .nodeRetired)
        spec.gateways = [scene.nodes[0]]
        #expect(scene.create(spec) == .nameUnknown)
        spec.nameContracts = [foreign]
        #expect(scene.create(spec) == .nameForbidden)
        spec.nameContracts = nil
        #expect(scene.create(spec) == .contractWindow)
        spec.notAfter = scene.ledger.now + 34_560_000
        #expect(scene.create(spec) == .offerExceeded)
        spec.limits.conns = 1000
        #expect(scene.create(spec) == .hostReserved)
        spec.expose.remove(at: 1)
        #expect(scene.create(spec) == .nameRequired)
        spec.expose.remove(at: 1)
        #expect(scene.create(spec) == .portNotOffered)
        spec.expose = [FoldLedger.expose(tcp: PortRange(from: 1000, to: 1000))]
        #expect(scene.create(spec) == .ok)
        for port: UInt16 in 1001...1003 {
            spec.expose = [FoldLedger.expose(tcp: PortRange(from: port, to: port))]
            #expect(scene.create(spec) == .ok)
        }
        #expect(scene.create(spec) == .portTaken)
        spec.expose = [FoldLedger.expose(tcp: PortRange(from: 1500, to: 1500))]
        #expect(scene.create(spec) == .quotaExceeded)
    }

    @Test("an offer refuses kinds, then modes, then limits, gateway by gateway")
    func offers() {
        let narrow = FoldLedger.offer(conns: 10, kinds: [.http], modes: [.reverseRaw])
        var scene = Scene([narrow, FoldLedger.offer()])
        var spec = scene.ports([scene.nodes[0]], 1000, 1000)
        spec.limits.conns = 100
        #expect(scene.create(spec) == .offerKind)
        spec.expose = [FoldLedger.expose(host: "a.example.net")]
        #expect(scene.create(spec) == .offerMode)
        scene = Scene([FoldLedger.offer(conns: 10), FoldLedger.offer()])
        spec = scene.ports(scene.nodes, 1000, 1000)
        #expect(scene.create(spec) == .offerExceeded)
        spec.limits.conns = 10
        #expect(scene.create(spec) == .ok)
    }

    @Test("a window ends after now and within the term; an update keeps an old end")
    func windows() {
        var scene = Scene()
        var spec = scene.ports([scene.nodes[0]], 1000, 1000)
        spec.notBefore = FoldLedger.start - 10
        spec.notAfter = FoldLedger.start
        #expect(scene.create(spec) == .contractWindow)
        spec.notAfter = FoldLedger.start + 34_560_001
        #expect(scene.create(spec) == .contractWindow)
        spec.notAfter = FoldLedger.start + 34_560_000
        let id = scene.ledger.contract(spec, of: scene.user)
        spec.version = 2
        spec.drain = 5
        #expect(scene.ledger.update(id, to: spec, as: scene.user) == .ok)
        spec.version = 3
        spec.notAfter += 1
        #expect(scene.ledger.update(id, to: spec, as: scene.user) == .contractWindow)
    }

    @Test("a gateway that cosigns does so for new contracts and changed terms, not for a kept gateway")
    func cosigners() {
        var scene = Scene([FoldLedger.offer(), FoldLedger.offer()])
        let strict = scene.ledger.twin(operators: 1)
        func register(_ farm: Identifier) -> Identifier {
            let body = NodeRegisterBody(
                details: FoldLedger.details(offer: FoldLedger.offer(accept: .cosign)),
                farm: farm,
                name: "strict",
                twin: strict.id
            )
            #expect(scene.ledger.submit(.nodeRegister(body), as: scene.farmer) == .signatureMissing)
            #expect(scene.ledger.submit(.nodeRegister(body), as: scene.farmer, with: [strict.operators[0]]) == .ok)
            return scene.ledger.last
        }
        let first = register(scene.farm)
        let second = register(scene.farm)
        let hand = strict.operators[0]
        var spec = scene.ports([first, second], 1000, 1009)
        #expect(scene.create(spec) == .signatureMissing)
        #expect(scene.create(spec, with: [hand, strict.owner]) == .signatureUnexpected)
        #expect(scene.create(spec, with: [hand]) == .ok)
        let id = scene.ledger.last
        func update(_ spec: ContractSpec, with others: [SigningKey] = []) -> Code {
            scene.ledger.update(id, to: spec, as: scene.user, with: others)
        }
        // Other backends, another end, another gateway: the kept ones need not sign, and may not.
        spec.version = 2
        spec.drain = 7
        spec.gateways = [first, scene.nodes[0]].sorted()
        #expect(update(spec, with: [hand]) == .signatureUnexpected)
        #expect(update(spec) == .ok)
        // A gateway that was left is not kept when it comes back.
        spec.version = 3
        spec.gateways = [first, second].sorted()
        #expect(update(spec) == .signatureMissing)
        #expect(update(spec, with: [hand]) == .ok)
        // Other limits are other terms.
        spec.version = 4
        spec.limits.conns = 99
        #expect(update(spec) == .signatureMissing)
        #expect(update(spec, with: [hand]) == .ok)
        // An absent balance and the same balance written out are different terms.
        spec.version = 5
        spec.expose[0].balance = .roundRobin
        #expect(update(spec) == .signatureMissing)
        // The twin of the gateways signs nothing beside itself for contracts of its own.
        let own = scene.ports([first, second], 1100, 1109)
        #expect(scene.ledger.submit(.contractCreate(ContractCreateBody(spec: own)), as: strict) == .ok)
    }

    @Test("a changed offer does not trap a running contract")
    func keptGateway() {
        var scene = Scene()
        let node = scene.nodes[0]
        var spec = scene.ports([node], 1000, 1009)
        let id = scene.ledger.contract(spec, of: scene.user)
        let narrow = FoldLedger.offer(conns: 1, kinds: [.http], modes: [.overlay])
        let body = NodeUpdateBody(details: FoldLedger.details(offer: narrow), node: node, version: 2)
        #expect(scene.ledger.submit(.nodeUpdate(body), as: scene.farmer) == .ok)
        spec.version = 2
        spec.drain = 5
        #expect(scene.ledger.update(id, to: spec, as: scene.user) == .ok)
        spec.version = 3
        spec.limits.bps = 999
        #expect(scene.ledger.update(id, to: spec, as: scene.user) == .offerKind)
        spec.limits.bps = 1000
        spec.expose[0].proxy = 2
        #expect(scene.ledger.update(id, to: spec, as: scene.user) == .offerKind)
        // C5 holds for a kept gateway too: its domains may have changed.
        var web = scene.ledger.spec([scene.nodes[1]], [FoldLedger.expose(host: "a.example.net")])
        let other = scene.ledger.contract(web, of: scene.user)
        let claim = NodeUpdateBody(
            details: FoldLedger.details(domains: ["example.net"]),
            node: scene.nodes[1],
            version: 2
        )
        #expect(scene.ledger.submit(.nodeUpdate(claim), as: scene.farmer) == .ok)
        web.version = 2
        #expect(scene.ledger.update(other, to: web, as: scene.user) == .nameRequired)
    }

    @Test("update rules come in their order")
    func updateOrder() {
        var scene = Scene()
        let spec = scene.ports([scene.nodes[0]], 1000, 1009, version: 3)
        let id = scene.ledger.contract(scene.ports([scene.nodes[0]], 1000, 1009), of: scene.user)
        #expect(scene.ledger.update(.zero, to: spec, as: scene.user) == .contractUnknown)
        #expect(scene.ledger.update(id, to: spec, as: scene.farmer) == .contractForbidden)
        #expect(scene.ledger.update(id, to: spec, as: scene.user) == .versionMismatch)
        let cancel = EntryBody.contractCancel(ContractCancelBody(contract: id))
        #expect(scene.ledger.submit(cancel, as: scene.farmer) == .contractForbidden)
        #expect(scene.ledger.submit(cancel, as: scene.user) == .ok)
        #expect(scene.ledger.submit(cancel, as: scene.user) == .contractDeleted)
        #expect(scene.ledger.update(id, to: spec, as: scene.user) == .contractDeleted)
        #expect(scene.ledger.update(id, to: spec, as: scene.farmer) == .contractForbidden)
    }

    @Test("root keys cancel for the ledger")
    func rootCancel() {
        var scene = Scene()
        let id = scene.ledger.contract(scene.ports([scene.nodes[0]], 1000, 1009), of: scene.user)
        let cancel = EntryBody.contractCancel(ContractCancelBody(contract: id))
        let roots = scene.ledger.roots
        #expect(scene.ledger.submit(cancel, as: scene.ledger.id, by: scene.user.owner) == .signerUnknown)
        #expect(scene.ledger.submit(cancel, as: scene.ledger.id, by: roots[0]) == .signatureMissing)
        #expect(
            scene.ledger.submit(cancel, as: scene.ledger.id, by: roots[0], with: [roots[1], roots[2]])
                == .signatureUnexpected
        )
        #expect(scene.ledger.submitAsRoot(.contractCancel(ContractCancelBody(contract: .zero))) == .contractUnknown)
        #expect(scene.ledger.submitAsRoot(cancel) == .ok)
        #expect(scene.ledger.state.contract(id)?.phase == .deleted(.canceledByCollective, at: scene.ledger.now))
        #expect(scene.ledger.submitAsRoot(cancel) == .contractDeleted)
    }

    @Test("suspended rows outlast leaving and returning to a gateway; others do not")
    func suspendedRows() {
        var scene = Scene()
        let (a, b) = (scene.nodes[0], scene.nodes[1])
        let id = scene.ledger.contract(scene.ports([a, b], 1000, 1009), of: scene.user)
        #expect(scene.ledger.report(.suspendedForAbuse, .suspended, of: id, at: a, version: 1, as: scene.farmer) == .ok)
        #expect(scene.ledger.report(.notAllowedByPolicy, .rejected, of: id, at: b, version: 1, as: scene.farmer) == .ok)
        let third = scene.ledger.node(of: scene.farmer, farm: scene.farm)
        #expect(scene.ledger.update(id, to: scene.ports([third], 1000, 1009, version: 2), as: scene.user) == .ok)
        #expect(scene.ledger.state.statuses(contract: id).count == 3)
        #expect(scene.ledger.update(id, to: scene.ports([a, b, third], 1000, 1009, version: 3), as: scene.user) == .ok)
        let rows = Dictionary(uniqueKeysWithValues: scene.ledger.state.statuses(contract: id))
        #expect(rows[a]?.state == .suspended)
        #expect(rows[a]?.version == 1)
        #expect(rows[b]?.state == .pending)
        #expect(rows[b]?.version == 3)
        #expect(rows[third]?.version == 2)
        let table = RouteTable(state: scene.ledger.state, node: a, at: scene.ledger.now)
        #expect(table.routes.map(\.mode) == [.suspended])
    }
}
