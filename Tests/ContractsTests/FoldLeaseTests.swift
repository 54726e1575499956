import Contracts
import Testing

@Suite("Fold: port leases and reports")
struct FoldLeaseTests {
    private struct Scene {
        var ledger = FoldLedger()
        var farmer: FoldLedger.Account
        var users: [FoldLedger.Account]
        var node: Identifier

        init() {
            farmer = ledger.twin()
            users = []
            for _ in 0..<2 { users.append(ledger.twin()) }
            node = ledger.node(of: farmer, farm: ledger.farm("farm-a", of: farmer))
        }

        func ports(_ from: UInt16, _ to: UInt16, version: Int64 = 1) -> ContractSpec {
            ledger.spec([node], [FoldLedger.expose(tcp: PortRange(from: from, to: to))], version: version)
        }

        mutating func create(_ spec: ContractSpec, user: Int) -> Code {
            ledger.submit(.contractCreate(ContractCreateBody(spec: spec)), as: users[user])
        }

        mutating func report(_ code: StatusCode, _ state: StatusState, _ contract: Identifier, _ version: Int64) -> Code
        {
            ledger.report(code, state, of: contract, at: node, version: version, as: farmer)
        }
    }

    @Test(
        "ranges of one kind do not overlap at a gateway, ranges of two kinds may",
        arguments: [
            (1010, 1019, Code.portTaken), (1000, 1010, .portTaken), (1019, 1025, .portTaken), (1012, 1013, .portTaken),
            (1005, 1025, .portTaken), (1000, 1009, .ok), (1020, 1030, .ok),
        ] as [(UInt16, UInt16, Code)]
    )
    func overlap(from: UInt16, to: UInt16, expected: Code) {
        var scene = Scene()
        _ = scene.ledger.contract(scene.ports(1010, 1019), of: scene.users[0])
        #expect(scene.create(scene.ports(from, to), user: 1) == expected)
        var udp = scene.ports(from, to)
        udp.expose[0].kind = .udp
        #expect(scene.create(udp, user: 1) == .ok)
    }

    @Test("a range lies within one offered range")
    func offered() {
        var scene = Scene()
        let offer = FoldLedger.offer(ports: [PortRange(from: 1000, to: 1009), PortRange(from: 1010, to: 1019)])
        let details = FoldLedger.details(offer: offer)
        #expect(
            scene.ledger.submit(
                .nodeUpdate(NodeUpdateBody(details: details, node: scene.node, version: 2)),
                as: scene.farmer
            ) == .ok
        )
        #expect(scene.create(scene.ports(1005, 1014), user: 0) == .portNotOffered)
        #expect(scene.create(scene.ports(1010, 1020), user: 0) == .portNotOffered)
        #expect(scene.create(scene.ports(1010, 1019), user: 0) == .ok)
    }

    @Test("an update may keep and move its own range, and frees what it leaves")
    func ownRange() {
        var scene = Scene()
        let id = scene.ledger.contract(scene.ports(1010, 1019), of: scene.users[0])
        #expect(scene.ledger.update(id, to: scene.ports(1015, 1024, version: 2), as: scene.users[0]) == .ok)
        #expect(scene.create(scene.ports(1010, 1014), user: 1) == .ok)
        #expect(scene.ledger.update(id, to: scene.ports(1014, 1024, version: 3), as: scene.users[0]) == .portTaken)
    }

    @Test("a rejected contract gives its ranges up, and cannot come back to ranges that are taken")
    func rejected() {
        var scene = Scene()
        let id = scene.ledger.contract(scene.ports(1010, 1019), of: scene.users[0])
        #expect(scene.report(.unsupportedValue, .rejected, id, 1) == .ok)
        // Nobody has them yet: back and forth.
        #expect(scene.report(.accepted, .deployed, id, 1) == .ok)
        #expect(scene.create(scene.ports(1019, 1020), user: 1) == .portTaken)
        #expect(scene.report(.portUnavailable, .rejected, id, 1) == .ok)
        #expect(scene.create(scene.ports(1019, 1020), user: 1) == .ok)
        let other = scene.ledger.last
        #expect(scene.report(.accepted, .deployed, id, 1) == .portTaken)
        #expect(scene.report(.unsupportedValue, .rejected, id, 1) == .ok)
        // A new version wants the ranges again.
        #expect(scene.ledger.update(id, to: scene.ports(1010, 1019, version: 2), as: scene.users[0]) == .portTaken)
        #expect(scene.ledger.update(id, to: scene.ports(1010, 1018, version: 2), as: scene.users[0]) == .ok)
        // The row says rejected, but of version 1, so version 2 holds its range.
        #expect(scene.ledger.state.status(contract: id, node: scene.node)?.state == .rejected)
        #expect(scene.create(scene.ports(1010, 1010), user: 1) == .portTaken)
        #expect(scene.report(.accepted, .deployed, id, 2) == .ok)
        #expect(scene.ledger.submit(.contractCancel(ContractCancelBody(contract: other)), as: scene.users[1]) == .ok)
        #expect(scene.create(scene.ports(1019, 1020), user: 1) == .ok)
    }

    @Test("report rules come in their order")
    func reportOrder() {
        var scene = Scene()
        let farm = scene.ledger.farm("farm-b", of: scene.farmer)
        let idle = scene.ledger.node(of: scene.farmer, farm: farm)
        let retired = scene.ledger.node(of: scene.farmer, farm: farm)
        #expect(scene.ledger.submit(.nodeRetire(NodeRetireBody(node: retired)), as: scene.farmer) == .ok)
        let id = scene.ledger.contract(scene.ports(1010, 1019), of: scene.users[0])
        func report(_ node: Identifier, _ contract: Identifier, _ version: Int64, by account: FoldLedger.Account? = nil)
            -> Code
        {
            scene.ledger.report(
                .accepted,
                .deployed,
                of: contract,
                at: node,
                version: version,
                as: account ?? scene.farmer
            )
        }
        #expect(report(.zero, .zero, 9) == .nodeUnknown)
        #expect(report(retired, .zero, 9, by: scene.users[0]) == .nodeRetired)
        #expect(report(idle, .zero, 9, by: scene.users[0]) == .nodeForbidden)
        #expect(report(idle, .zero, 9) == .contractUnknown)
        #expect(report(idle, id, 9) == .reportStranger)
        #expect(scene.report(.removed, .removed, id, 9) == .reportState)
        #expect(report(scene.node, id, 9) == .versionMismatch)
        #expect(report(scene.node, id, 1) == .ok)
        #expect(report(scene.node, id, 1) == .reportUnchanged)
        // Another message alone is no change, another conflict is.
        let body = ContractReportBody(
            code: .accepted,
            state: .deployed,
            contract: id,
            node: scene.node,
            version: 1,
            message: "x"
        )
        #expect(scene.ledger.submit(.contractReport(body), as: scene.farmer) == .reportUnchanged)
        #expect(scene.report(.hostnameConflict, .rejected, id, 1) == .ok)
        #expect(
            scene.ledger.report(
                .hostnameConflict,
                .rejected,
                of: id,
                at: scene.node,
                version: 1,
                as: scene.farmer,
                conflict: id
            ) == .ok
        )
        #expect(scene.ledger.submit(.contractCancel(ContractCancelBody(contract: id)), as: scene.users[0]) == .ok)
        #expect(report(scene.node, id, 1) == .reportState)
        #expect(scene.report(.removed, .removed, id, 1) == .ok)
        #expect(scene.report(.removed, .removed, id, 1) == .reportStranger)
    }

    @Test("a retired gateway loses its rows and leases; the contract can leave it but not stay")
    func retire() {
        var scene = Scene()
        let farm = scene.ledger.farm("farm-b", of: scene.farmer)
        let other = scene.ledger.node(of: scene.farmer, farm: farm)
        let id = scene.ledger.contract(scene.ports(1010, 1019), of: scene.users[0])
        let retire = EntryBody.nodeRetire(NodeRetireBody(node: scene.node))
        #expect(scene.ledger.submit(retire, as: scene.users[0]) == .nodeForbidden)
        #expect(scene.ledger.submit(retire, as: scene.farmer) == .ok)
        #expect(scene.ledger.submit(retire, as: scene.farmer) == .nodeRetired)
        #expect(scene.ledger.state.statuses(contract: id).isEmpty)
        #expect(RouteTable(state: scene.ledger.state, node: scene.node, at: scene.ledger.now).routes.isEmpty)
        #expect(scene.ledger.update(id, to: scene.ports(1010, 1019, version: 2), as: scene.users[0]) == .nodeRetired)
        var moved = scene.ports(1010, 1019, version: 2)
        moved.gateways = [other]
        #expect(scene.ledger.update(id, to: moved, as: scene.users[0]) == .ok)
        #expect(scene.ledger.state.status(contract: id, node: other)?.version == 2)
        // A retired node still reports usage, if it ever had a row.
        let usage = UsageReportBody(
            usage: UsageRow(bytesIn: 1, bytesOut: 1, conns: 1, until: scene.ledger.now),
            contract: id,
            node: scene.node
        )
        #expect(scene.ledger.submit(.usageReport(usage), as: scene.farmer) == .reportStranger)
    }

    @Test("usage grows in time and in every counter")
    func usage() {
        var scene = Scene()
        let id = scene.ledger.contract(scene.ports(1010, 1019), of: scene.users[0])
        func usage(
            _ bytesIn: Int64,
            _ bytesOut: Int64,
            _ conns: Int64,
            _ until: Timestamp,
            by account: FoldLedger.Account? = nil
        ) -> Code {
            let row = UsageRow(bytesIn: bytesIn, bytesOut: bytesOut, conns: conns, until: until)
            let body = UsageReportBody(usage: row, contract: id, node: scene.node)
            return scene.ledger.submit(.usageReport(body), as: account ?? scene.farmer)
        }
        let now = scene.ledger.now
        #expect(usage(5, 5, 5, now - 9, by: scene.users[0]) == .nodeForbidden)
        #expect(usage(5, 5, 5, now + 1) == .usageTime)
        #expect(usage(5, 5, 5, now - 9) == .ok)
        #expect(usage(9, 9, 9, now - 9) == .usageTime)
        #expect(usage(4, 9, 9, now - 8) == .usageDecrease)
        #expect(usage(9, 4, 9, now - 8) == .usageDecrease)
        #expect(usage(9, 9, 4, now - 8) == .usageDecrease)
        #expect(usage(5, 5, 5, now - 8) == .ok)
        // After its removal the usage row alone makes the node a party to the bill.
        #expect(scene.ledger.submit(.contractCancel(ContractCancelBody(contract: id)), as: scene.users[0]) == .ok)
        #expect(scene.report(.removed, .removed, id, 1) == .ok)
        #expect(usage(6, 6, 6, now) == .ok)
    }
}
