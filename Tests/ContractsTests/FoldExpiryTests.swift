import Contracts
import Testing

@Suite("Fold: funds and time")
struct FoldExpiryTests {
    private struct Scene {
        var ledger = FoldLedger(limits: LedgerLimits(contracts: 4, grace: 3600, names: 3, purge: 86_400))
        var farmer: FoldLedger.Account
        var user: FoldLedger.Account
        var biller: FoldLedger.Account
        var nodes: [Identifier]

        init() {
            farmer = ledger.twin()
            user = ledger.twin()
            biller = ledger.twin()
            let farm = ledger.farm("farm-a", of: farmer)
            nodes = []
            for _ in 0..<2 { nodes.append(ledger.node(of: farmer, farm: farm)) }
            let policy = PolicySetBody(
                auditorQuorum: 0,
                auditors: [],
                billing: [biller.id],
                policy: WitnessPolicy("quorum none\n")!,
                version: 2
            )
            ledger.submitAsRoot(.policySet(policy))
        }

        func spec(_ term: Timestamp, version: Int64 = 1) -> ContractSpec {
            let ports = FoldLedger.expose(tcp: PortRange(from: 1000, to: 1009))
            return ledger.spec(nodes, [ports], version: version, term: term)
        }
    }

    @Test("a contract ends at the tick that reaches not_after, and frees ports and quota at once")
    func expires() {
        var scene = Scene()
        let id = scene.ledger.contract(scene.spec(7200), of: scene.user)
        scene.ledger.advance(to: FoldLedger.start + 7199)
        #expect(scene.ledger.state.contract(id)?.isLive == true)
        scene.ledger.advance(to: FoldLedger.start + 7300)
        #expect(scene.ledger.state.contract(id)?.phase == .deleted(.expired, at: FoldLedger.start + 7300))
        #expect(scene.ledger.state.statuses(contract: id).count == 2)
        _ = scene.ledger.contract(scene.spec(100_000), of: scene.user)
    }

    @Test("rows of a deleted contract go when purge seconds have passed")
    func purge() {
        var scene = Scene()
        let id = scene.ledger.contract(scene.spec(7200), of: scene.user)
        #expect(scene.ledger.settle(id, period: 1, funded: true, as: scene.biller) == .ok)
        let usage = UsageRow(bytesIn: 1, bytesOut: 1, conns: 1, until: scene.ledger.now)
        let body = UsageReportBody(usage: usage, contract: id, node: scene.nodes[0])
        #expect(scene.ledger.submit(.usageReport(body), as: scene.farmer) == .ok)
        #expect(scene.ledger.submit(.contractCancel(ContractCancelBody(contract: id)), as: scene.user) == .ok)
        scene.ledger.advance(to: FoldLedger.start + 86_399)
        func rows() -> [String] { scene.ledger.state.rows.map(\.key).filter { $0.contains(id.hex) } }
        #expect(rows().count == 5)
        #expect(scene.ledger.settle(id, period: 2, funded: false, as: scene.biller) == .ok)
        #expect(scene.ledger.state.contract(id)?.isLive == false)
        scene.ledger.advance(to: FoldLedger.start + 86_460)
        #expect(rows().isEmpty)
        #expect(scene.ledger.settle(id, period: 3, funded: true, as: scene.biller) == .contractUnknown)
    }

    @Test("an unfunded contract keeps its terms, and ends out of funds after limits.grace")
    func grace() {
        var scene = Scene()
        var spec = scene.spec(1_000_000)
        let id = scene.ledger.contract(spec, of: scene.user)
        #expect(scene.ledger.settle(id, period: 1, funded: false, as: scene.user) == .billingForbidden)
        #expect(scene.ledger.settle(id, period: 2, funded: false, as: scene.biller) == .billPeriod)
        #expect(scene.ledger.settle(id, period: 1, funded: false, as: scene.biller) == .ok)
        #expect(
            RouteTable(state: scene.ledger.state, node: scene.nodes[0], at: scene.ledger.now).routes.map(\.mode) == [
                .grace
            ]
        )
        func update(_ change: (inout ContractSpec) -> Void) -> Code {
            var changed = spec
            changed.version += 1
            change(&changed)
            return scene.ledger.update(id, to: changed, as: scene.user)
        }
        let extra = scene.ledger.node(of: scene.farmer, farm: scene.ledger.farm("farm-b", of: scene.farmer))
        #expect(
            update {
                $0.conn = .reverseRaw
                $0.expose = [Expose(id: "t", kind: .tls, backends: ["b"], hosts: ["a.example.net"])]
            } == .contractGrace
        )
        #expect(update { $0.expose[0].deny = [CIDR("192.0.2.0/24")!] } == .contractGrace)
        #expect(update { $0.limits.conns = 1 } == .contractGrace)
        #expect(update { $0.notBefore += 1 } == .contractGrace)
        #expect(update { $0.notAfter += 1 } == .contractGrace)
        #expect(update { $0.gateways = [extra] } == .contractGrace)
        #expect(
            update {
                $0.version = 9
                $0.limits.conns = 1
            } == .contractGrace
        )
        #expect(update { $0.version = 9 } == .versionMismatch)
        #expect(
            update {
                $0.gateways = [scene.nodes[0]]
                $0.drain = 1
                $0.backends[0].weight = 2
            } == .ok
        )
        spec.version = 2
        // The update does not prolong the grace.
        scene.ledger.advance(to: FoldLedger.start + 3599)
        #expect(scene.ledger.state.contract(id)?.isInGrace == true)
        scene.ledger.advance(to: FoldLedger.start + 3660)
        #expect(scene.ledger.state.contract(id)?.phase == .deleted(.outOfFunds, at: FoldLedger.start + 3660))
    }

    @Test("funds end the grace, and a later lack of them begins another")
    func funded() {
        var scene = Scene()
        let id = scene.ledger.contract(scene.spec(1_000_000), of: scene.user)
        #expect(scene.ledger.settle(id, period: 1, funded: false, as: scene.biller) == .ok)
        scene.ledger.advance(to: FoldLedger.start + 1800)
        #expect(scene.ledger.settle(id, period: 2, funded: false, as: scene.biller) == .ok)
        #expect(scene.ledger.state.contract(id)?.phase == .grace(scene.spec(1_000_000), since: FoldLedger.start))
        #expect(scene.ledger.settle(id, period: 3, funded: true, as: scene.biller) == .ok)
        #expect(scene.ledger.state.contract(id)?.isInGrace == false)
        scene.ledger.advance(to: FoldLedger.start + 4000)
        #expect(scene.ledger.settle(id, period: 4, funded: false, as: scene.biller) == .ok)
        scene.ledger.advance(to: FoldLedger.start + 7599)
        #expect(scene.ledger.state.contract(id)?.isInGrace == true)
        scene.ledger.advance(to: FoldLedger.start + 7660)
        #expect(scene.ledger.state.contract(id)?.isLive == false)
    }

    @Test(
        "the earlier of grace and not_after names the cause; grace wins a tie",
        arguments: [
            (3599, DeletionCause.expired), (3600, .outOfFunds), (3601, .outOfFunds),
        ] as [(Timestamp, DeletionCause)]
    )
    func cause(term: Timestamp, expected: DeletionCause) {
        var scene = Scene()
        let id = scene.ledger.contract(scene.spec(term), of: scene.user)
        #expect(scene.ledger.settle(id, period: 1, funded: false, as: scene.biller) == .ok)
        scene.ledger.advance(to: FoldLedger.start + 80_000)
        #expect(scene.ledger.state.contract(id)?.phase == .deleted(expected, at: FoldLedger.start + 80_000))
    }

    @Test("with no grace at all the next tick ends an unfunded contract")
    func noGrace() {
        var ledger = FoldLedger(limits: LedgerLimits(contracts: 4, grace: 0, names: 3))
        let twin = ledger.twin()
        let node = ledger.node(of: twin, farm: ledger.farm("farm-a", of: twin))
        let policy = PolicySetBody(
            auditorQuorum: 0,
            auditors: [],
            billing: [twin.id],
            policy: WitnessPolicy("quorum none\n")!,
            version: 2
        )
        #expect(ledger.submitAsRoot(.policySet(policy)) == .ok)
        ledger.advance(to: FoldLedger.start + 10_000)
        let id = ledger.contract(ledger.spec([node], [FoldLedger.expose(host: "a.example.net")]), of: twin)
        #expect(ledger.settle(id, period: 1, funded: false, as: twin) == .ok)
        ledger.advance(to: FoldLedger.start + 10_060)
        #expect(ledger.state.contract(id)?.phase == .deleted(.outOfFunds, at: FoldLedger.start + 10_060))
    }
}
