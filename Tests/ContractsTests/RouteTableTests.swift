import Contracts
import Testing

@Suite("Route table")
struct RouteTableTests {
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

        func table(at time: Timestamp? = nil) -> RouteTable {
            RouteTable(state: ledger.state, node: node, at: time ?? ledger.now)
        }
    }

    @Test("fills in every default, in canonical JSON")
    func defaults() {
        var scene = Scene()
        let key = FoldLedger.key(30).publicKey
        let spec = scene.ledger.spec([scene.node], [FoldLedger.expose(host: "a.example.net")])
        let id = scene.ledger.contract(spec, of: scene.users[0])
        let expected =
            #"{"node":"\#(scene.node)","routes":[{"allow":[],"auth":"dns","backends":[{"id":"b","key":"\#(key)","weight":1}],"#
            + #""balance":"round-robin","conn":"reverse-tls","contract":"\#(id)","deny":[],"drain":60,"expose":"web","#
            + #""host":"a.example.net","kind":"http","limits":{"bps":1000,"conns":100},"max_stale":259200,"mode":"serve","#
            + #""path":"/","proxy":0,"rank":0,"redirect":false,"tls":"terminate","version":1}],"v":1}"#
        #expect(String(decoding: scene.table().canonical, as: UTF8.self) == expected)
    }

    @Test("an unknown node has the empty table")
    func unknown() {
        let scene = Scene()
        let table = RouteTable(state: scene.ledger.state, node: .zero, at: scene.ledger.now)
        #expect(String(decoding: table.canonical, as: UTF8.self) == #"{"node":"\#(Digest.zero)","routes":[],"v":1}"#)
        #expect(RouteTable(state: ContractState(), node: .zero, at: 0).routes.isEmpty)
    }

    @Test("a contract has routes from not_before until before not_after")
    func window() {
        var scene = Scene()
        var spec = scene.ledger.spec([scene.node], [FoldLedger.expose(tcp: PortRange(from: 1000, to: 1001))])
        spec.notBefore = scene.ledger.now + 100
        spec.notAfter = scene.ledger.now + 200
        _ = scene.ledger.contract(spec, of: scene.users[0])
        #expect(scene.table(at: spec.notBefore - 1).routes.isEmpty)
        #expect(scene.table(at: spec.notBefore).routes.map(\.target) == [.ports(from: 1000, to: 1001)])
        #expect(scene.table(at: spec.notAfter - 1).routes.count == 1)
        #expect(scene.table(at: spec.notAfter).routes.isEmpty)
    }

    @Test("ranks contracts of one host by creation, each contract once, only those that have a route")
    func ranks() {
        var scene = Scene()
        func spec(_ exposes: [Expose], after delay: Timestamp = 0) -> ContractSpec {
            var spec = scene.ledger.spec([scene.node], exposes)
            spec.notBefore += delay
            return spec
        }
        var paths = ["/a", "/b"].enumerated().map { index, path in
            Expose(
                id: "web\(index)",
                kind: .http,
                backends: ["b"],
                hosts: ["h.example.net"],
                tls: .terminate,
                path: path
            )
        }
        let early = scene.ledger.contract(spec(paths, after: 500), of: scene.users[0])
        let first = scene.ledger.contract(spec(paths), of: scene.users[1])
        paths[0].hosts = ["*.example.net"]
        let second = scene.ledger.contract(spec(paths), of: scene.users[0])
        func ranks(_ time: Timestamp) -> [Identifier: Set<Int>] {
            var ranks: [Identifier: Set<Int>] = [:]
            for route in scene.table(at: time).routes {
                guard case .http("h.example.net", _, _, _, _, let rank) = route.target else { continue }
                ranks[route.contract, default: []].insert(rank)
            }
            return ranks
        }
        #expect(ranks(scene.ledger.now) == [first: [0], second: [1]])
        #expect(ranks(scene.ledger.now + 500) == [early: [0], first: [1], second: [2]])
        let wildcard = scene.table().routes.first { route in
            if case .http("*.example.net", _, _, _, _, _) = route.target { return true }
            return false
        }
        guard case .http(_, _, _, _, _, let rank)? = wildcard?.target else {
            Issue.record("the wildcard has a route")
            return
        }
        #expect(rank == 0)
    }

    @Test("names give managed hosts; a host whose domain changed hands has no route until the names fit")
    func managed() {
        var scene = Scene()
        let name = scene.ledger.name("shop", of: scene.users[0])
        let exposes = [
            FoldLedger.expose(host: "shop.gw.example.org"), FoldLedger.expose(host: "x.example.net", id: "z"),
        ]
        let spec = scene.ledger.spec([scene.node], exposes, names: [name])
        _ = scene.ledger.contract(spec, of: scene.users[0])
        func auths() -> [String: HostAuth] {
            var auths: [String: HostAuth] = [:]
            for route in scene.table().routes {
                if case .http(let host, _, _, _, let auth, _) = route.target { auths[host] = auth }
            }
            return auths
        }
        #expect(auths() == ["shop.gw.example.org": .name, "x.example.net": .dns])
        let body = NodeUpdateBody(
            details: FoldLedger.details(domains: ["example.net", "shop.gw.example.org"]),
            node: scene.node,
            version: 2
        )
        #expect(scene.ledger.submit(.nodeUpdate(body), as: scene.farmer) == .ok)
        // One host is the node's own domain now, the other belongs to a name that the contract has not.
        #expect(auths() == [:])
    }

    @Test("limits are the smaller of contract and current offer; a rejected version has mode rejected")
    func limitsAndModes() {
        var scene = Scene()
        let spec = scene.ledger.spec([scene.node], [FoldLedger.expose(host: "a.example.net")])
        let id = scene.ledger.contract(spec, of: scene.users[0])
        var offer = FoldLedger.offer(conns: 7)
        offer.bps = 5
        let body = NodeUpdateBody(details: FoldLedger.details(offer: offer), node: scene.node, version: 2)
        #expect(scene.ledger.submit(.nodeUpdate(body), as: scene.farmer) == .ok)
        #expect(scene.table().routes.map(\.limits) == [ContractLimits(bps: 5, conns: 7)])
        #expect(
            scene.ledger.report(.unsupportedValue, .rejected, of: id, at: scene.node, version: 1, as: scene.farmer)
                == .ok
        )
        #expect(scene.table().routes.map(\.mode) == [.rejected])
        var next = spec
        next.version = 2
        #expect(scene.ledger.update(id, to: next, as: scene.users[0]) == .ok)
        #expect(scene.table().routes.map(\.mode) == [.serve])
        #expect(scene.table().routes.map(\.version) == [2])
        #expect(
            scene.ledger.report(.suspendedForLaw, .suspended, of: id, at: scene.node, version: 2, as: scene.farmer)
                == .ok
        )
        next.version = 3
        #expect(scene.ledger.update(id, to: next, as: scene.users[0]) == .ok)
        #expect(scene.table().routes.map(\.mode) == [.suspended])
    }
}
