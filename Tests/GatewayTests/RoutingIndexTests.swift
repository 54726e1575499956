import Contracts
import Testing

@testable import Gateway

private let key = try! SigningKey(seed: [UInt8](repeating: 3, count: 32)).publicKey
private let otherKey = try! SigningKey(seed: [UInt8](repeating: 4, count: 32)).publicKey

private func contract(_ number: UInt8) -> Identifier { Digest.sha256([number]) }

private func routes(_ number: UInt8 = 1) -> FrontWorld.Routes {
    FrontWorld.Routes(contract: contract(number), key: key)
}

private func index(_ routes: [Route], previous: RoutingIndex? = nil, freshness: Freshness = Freshness(quorumTime: nil))
    -> RoutingIndex
{
    var index = previous ?? RoutingIndex(node: contract(0), seed: 77)
    _ = index.take(Publication(node: contract(0), routes: routes, freshness: freshness), at: 1000)
    return index
}

private func indexed(_ publication: Publication) -> RoutingIndex {
    var index = RoutingIndex(node: contract(0), seed: 77)
    _ = index.take(publication, at: 1000)
    return index
}

extension RoutingIndex {
    /// The exposure that serves a host and path, or the refusal.
    fileprivate func ask(
        _ host: String,
        _ path: String = "/",
        visitor: IPAddress? = IPAddress("192.0.2.1"),
        at now: Timestamp = 1000
    ) -> String {
        let bytes = Array((host + path).utf8)
        let end = host.utf8.count
        return text(
            RoutesInForce(self).permit(host: bytes.span, 0..<end, path: end..<bytes.count, visitor: visitor, at: now)
        )
    }

    fileprivate func ask(name: String) -> String {
        text(RoutesInForce(self).permit(serverName: Array(name.utf8), visitor: nil, at: 1000))
    }

    fileprivate func ask(port: UInt16) -> String {
        text(RoutesInForce(self).permit(port: LeasedPort(port, .tcp), visitor: nil, at: 1000))
    }

    private func text(_ decision: Decision) -> String {
        switch decision {
        case .permitted(let permit): permit.route.route.expose
        case .refused(let refusal, _): refusal.rawValue
        }
    }
}

@Suite("The routing index")
struct RoutingIndexTests {
    @Test("finds a host exactly before a wildcard, in any case, and one label only under a wildcard")
    func hosts() {
        let index = index([
            routes().http("shop.gw.example", expose: "exact"), routes().http("*.gw.example", expose: "wild"),
            routes().http("*.shop.gw.example", expose: "deep"),
        ])
        for (host, expected) in [
            ("shop.gw.example", "exact"), ("SHOP.Gw.Example", "exact"), ("other.gw.example", "wild"),
            ("a.shop.gw.example", "deep"), ("a.other.gw.example", "unknown"), ("gw.example", "unknown"),
            (".gw.example", "unknown"), ("shop.gw.example.org", "unknown"), ("", "unknown"), ("example", "unknown"),
            ("xshop.gw.example", "wild"), ("*.gw.example", "wild"),
        ] {
            #expect(index.ask(host) == expected, "\(host)")
        }
    }

    @Test("serves 10,000 hosts and no other")
    func many() {
        let index = index((0..<10_000).map { routes().http("h\($0).gw.example", expose: "e\($0 % 64)") })
        for number in stride(from: 0, to: 10_000, by: 97) {
            #expect(index.ask("H\(number).gw.example") == "e\(number % 64)")
            #expect(index.ask("h\(number).gw.examples") == "unknown")
        }
    }

    @Test("takes the longest path on a segment boundary")
    func paths() {
        let index = index([
            routes().http("a.example", expose: "api", path: "/api"),
            routes().http("a.example", expose: "v2", path: "/api/v2"),
            routes().http("a.example", expose: "dir", path: "/dir/"), routes().http("b.example", expose: "all"),
            routes().http("b.example", expose: "sub", path: "/sub"),
        ])
        for (host, path, expected) in [
            ("a.example", "/api", "api"), ("a.example", "/api/", "api"), ("a.example", "/api/v1", "api"),
            ("a.example", "/api/v2", "v2"), ("a.example", "/api/v2/x", "v2"), ("a.example", "/api/v22", "api"),
            ("a.example", "/apix", "unknown"), ("a.example", "/", "unknown"), ("a.example", "/dir/", "dir"),
            ("a.example", "/dir/x", "dir"), ("a.example", "/dir", "unknown"), ("b.example", "/", "all"),
            ("b.example", "", "all"), ("b.example", "*", "all"), ("b.example", "/sub", "sub"),
            ("b.example", "/subx", "all"),
            ("a.example", "/API", "unknown"),
        ] {
            #expect(index.ask(host, path) == expected, "\(host)\(path)")
        }
    }

    @Test(
        "refuses a path that some server would read as another route",
        arguments: [
            "/x/../sub", "/%73ub", "/sub/../x", "/./sub", "//sub", "/x/%2e%2e/sub", "/x/..%2fsub", "/x/..\\sub",
            "\\sub",
            "/sub/%2E%2E/", "/x/..;a/sub", "/sub;a",
        ]
    )
    func ambiguous(_ path: String) {
        let index = index([
            routes().http("b.example", expose: "all"), routes().http("b.example", expose: "sub", path: "/sub"),
        ])
        #expect(index.ask("b.example", path) == "ambiguous")
    }

    @Test(
        "leaves unusual paths alone where they lead to one route",
        arguments: ["/x//y", "/caf%C3%A9", "/sub/a%20b", "/x/./y"]
    )
    func harmless(_ path: String) {
        let index = index([
            routes().http("b.example", expose: "all"), routes().http("b.example", expose: "sub", path: "/sub"),
        ])
        #expect(index.ask("b.example", path) == (path.hasPrefix("/sub") ? "sub" : "all"))
    }

    @Test("finds server names and ports")
    func others() {
        let index = index([
            routes().tls("a.gw.example"), routes().tls("*.w.gw.example", expose: "wild"), routes().tcp(6000...6010),
        ])
        #expect(index.ask(name: "a.gw.example") == "secure")
        #expect(index.ask(name: "x.w.gw.example") == "wild")
        #expect(index.ask(name: "b.gw.example") == "unknown")
        #expect(index.ask(port: 6000) == "tcp")
        #expect(index.ask(port: 6010) == "tcp")
        #expect(index.ask(port: 6011) == "unknown")
        #expect(index.ask("a.gw.example") == "unknown")
    }

    @Test("asks for the visitor's address: deny wins, an allow list that does not name it refuses")
    func addresses() {
        let index = index([
            routes().http("a.example", allow: [CIDR("192.0.2.0/24")!], deny: [CIDR("192.0.2.9/32")!]),
            routes().http("b.example", deny: [CIDR("2001:db8::/32")!]),
        ])
        #expect(index.ask("a.example", visitor: IPAddress("192.0.2.1")) == "web")
        #expect(index.ask("a.example", visitor: IPAddress("192.0.2.9")) == "denied")
        #expect(index.ask("a.example", visitor: IPAddress("198.51.100.1")) == "denied")
        #expect(index.ask("a.example", visitor: IPAddress("2001:db8::1")) == "denied")
        #expect(index.ask("a.example", visitor: nil) == "denied")
        #expect(index.ask("b.example", visitor: IPAddress("2001:db8::1")) == "denied")
        #expect(index.ask("b.example", visitor: IPAddress("192.0.2.1")) == "web")
    }

    @Test("does as the mode says, whatever the place")
    func modes() {
        for (mode, expected) in [
            (RouteMode.serve, "web"), (.grace, "grace"), (.suspended, "suspended"), (.rejected, "unknown"),
        ] {
            #expect(index([routes().http("a.example", mode: mode)]).ask("a.example") == expected)
        }
        let index = index([routes(1).tcp(1...1, mode: .grace), routes(2).tls("a.example", mode: .suspended)])
        #expect(index.ask(port: 1) == "grace")
        #expect(index.ask(name: "a.example") == "suspended")
    }

    @Test("keeps the window and the age of the state between tables")
    func time() {
        let publication = Publication(
            node: contract(0),
            routes: [routes().http("a.example")],
            freshness: Freshness(quorumTime: 1000),
            windows: [contract(1): 900..<2000]
        )
        let index = indexed(publication)
        #expect(index.ask("a.example", at: 899) == "ended")
        #expect(index.ask("a.example", at: 900) == "web")
        #expect(index.ask("a.example", at: 1999) == "web")
        #expect(index.ask("a.example", at: 2000) == "ended")
        let long = Publication(
            node: contract(0),
            routes: [routes().http("a.example")],
            freshness: Freshness(quorumTime: 1000)
        )
        let stale = indexed(long)
        #expect(stale.ask("a.example", at: 1000 + 259_200) == "web")
        #expect(stale.ask("a.example", at: 1001 + 259_200) == "stale")
    }

    @Test("binds nothing new while the state is stale, and keeps what was bound")
    func stale() {
        let before = index([routes().http("a.example")], freshness: Freshness(quorumTime: 1000))
        let later = [routes().http("a.example"), routes().http("b.example"), routes().tcp(5...5)]
        let fresh = index(later, previous: before, freshness: Freshness(quorumTime: 100))
        #expect(fresh.ask("b.example") == "web")
        let old = index(later, previous: before, freshness: Freshness(quorumTime: 99))
        #expect(old.ask("a.example") == "web")
        #expect(old.ask("b.example") == "unknown")
        #expect(old.ask(port: 5) == "unknown")
    }
}

@Suite("Admission of contracts")
struct RoutingAdmissionTests {
    private func conditions(
        _ list: [Route],
        unavailable: [LeasedPort: String] = [:],
        unreachable: Set<Identifier> = []
    ) -> [String] {
        index(list).conditions(unavailable: unavailable, unreachable: unreachable).map {
            "\($0.state.rawValue)/\($0.code.rawValue)"
        }
    }

    @Test("reports each contract as the protocol's pairs allow")
    func pairs() {
        #expect(conditions([routes().http()]) == ["deployed/Accepted"])
        #expect(conditions([routes().tcp(5...9), routes().tls()]) == ["deployed/Accepted"])
        #expect(conditions([routes().http(tls: .terminate)]) == ["rejected/UnsupportedValue"])
        let dialed = [Backend(id: "b1", target: .address("[200:db8::2]:8080"), weight: 1)]
        #expect(conditions([routes().http(conn: .overlay, backends: dialed)]) == ["pending/BackendUnreachable"])
        #expect(conditions([routes().http(conn: .reverseRaw)]) == ["rejected/UnsupportedValue"])
        #expect(conditions([routes().tcp(5...5, kind: .udp)]) == ["deployed/Accepted"])
        #expect(
            conditions([routes().tcp(5...5, kind: .udp)], unavailable: [5: "in use"]) == ["deployed/Accepted"],
            "a TCP port of the same number is another port"
        )
        #expect(
            conditions([routes().tcp(5...5, kind: .udp)], unavailable: [LeasedPort(5, .udp): "in use"])
                == ["rejected/PortUnavailable"]
        )
        #expect(
            conditions([routes().http(), routes().http("b.example", tls: .terminate)]) == ["rejected/UnsupportedValue"]
        )
        #expect(conditions([routes().http("b.example", auth: .dns)]) == ["pending/DNSProofMissing"])
        #expect(conditions([routes().http(), routes().http("b.example", auth: .dns)]) == ["deployed/Accepted"])
        #expect(conditions([routes().tcp(5...9)], unavailable: [7: "in use"]) == ["rejected/PortUnavailable"])
        #expect(conditions([routes().tcp(5...9)], unavailable: [10: "in use"]) == ["deployed/Accepted"])
        #expect(conditions([routes().http(mode: .suspended)]) == [])
        #expect(conditions([routes().http(mode: .grace)]) == ["deployed/Accepted"])
        #expect(conditions([routes().http()], unreachable: [contract(1)]) == ["error/BackendUnreachable"])
        // What stood in the way is gone: the rejection is taken back first, then the contract is served.
        #expect(conditions([routes().http(mode: .rejected)]) == ["pending/BackendUnreachable"])
        #expect(
            conditions([routes().tcp(5...5, mode: .rejected)], unavailable: [5: "in use"]) == [
                "rejected/PortUnavailable"
            ]
        )
        #expect(conditions([routes().http(mode: .rejected, tls: .terminate)]) == ["rejected/UnsupportedValue"])
    }

    @Test("reports only pairs that the ledger takes")
    func reportable() {
        let lists = [
            [routes().http()], [routes().http(tls: .terminate)], [routes().http(auth: .dns)], [routes().tcp(7...7)],
            [routes().http(mode: .rejected)], [routes().http(rank: 0), routes(2).http(rank: 1)],
        ]
        for list in lists {
            for condition in index(list).conditions(unavailable: [7: "x"], unreachable: []) {
                #expect(condition.code.isReportable(in: condition.state))
                #expect(condition.conflict == nil || condition.code.allowsConflict)
                #expect(condition.message.utf8.count <= 256)
            }
        }
    }

    @Test("serves nothing of a contract that asks for something not offered")
    func whole() {
        let index = index([
            routes().http("a.example"), routes().http("b.example", tls: .terminate), routes().tcp(5...5),
        ])
        #expect(index.ask("a.example") == "unknown")
        #expect(index.ask(port: 5) == "unknown")
    }

    @Test("never serves a host that waits for a proof")
    func unproven() {
        let index = index([
            routes().http("a.example"), routes().http("b.example", auth: .dns), routes().tls("c.example", auth: .dns),
        ])
        #expect(index.ask("a.example") == "web")
        #expect(index.ask("b.example") == "unknown")
        #expect(index.ask(name: "c.example") == "unknown")
    }

    @Test("gives a host to the earliest contract, and names it to the others")
    func conflict() {
        let list = [
            routes(1).http("a.example", expose: "one", rank: 0), routes(2).http("a.example", expose: "two", rank: 1),
            routes(2).http("b.example", expose: "two", rank: 0), routes(3).http("b.example", expose: "three", rank: 1),
        ]
        let index = index(list)
        #expect(index.ask("a.example") == "one")
        // The second contract is left as a whole, so the third gets its other host.
        #expect(index.ask("b.example") == "three")
        let conditions = Dictionary(
            uniqueKeysWithValues: index.conditions(unavailable: [:], unreachable: []).map { ($0.contract, $0) }
        )
        #expect((1...3).map { conditions[contract($0)]?.code } == [.accepted, .hostnameConflict, .accepted])
        #expect(conditions[contract(2)]?.conflict == contract(1))
    }

    @Test("counts neither the rejected nor those who wait for a proof as owners")
    func eligibility() {
        #expect(
            index([
                routes(1).http("a.example", expose: "one", mode: .rejected, rank: 0),
                routes(2).http("a.example", expose: "two", rank: 1),
            ]).ask("a.example") == "two"
        )
        #expect(
            index([
                routes(1).http("a.example", expose: "one", rank: 0, auth: .dns),
                routes(2).http("a.example", expose: "two", rank: 1),
            ]).ask("a.example") == "two"
        )
        let lost = Dictionary(
            uniqueKeysWithValues: index([
                routes(1).http("a.example", expose: "one", rank: 0),
                routes(2).http("a.example", expose: "two", mode: .rejected, rank: 1),
            ]).conditions(unavailable: [:], unreachable: []).map { ($0.contract, $0.code) }
        )
        #expect(lost == [contract(1): .accepted, contract(2): .hostnameConflict])
    }

    @Test("tells agents why they may not serve")
    func agents() {
        let list = [
            routes(1).http("a.example"), routes(2).http("b.example", mode: .suspended),
            routes(3).http("c.example", mode: .grace),
            routes(4).http("d.example", mode: .rejected), routes(5).http("e.example", conn: .overlay),
            routes(6).http("f.example", auth: .dns),
        ]
        let index = index(list)
        func refusal(_ number: UInt8, _ key: PublicKey) -> RefusalCode? {
            index.refusal(agent: key, contract: contract(number), at: 1000)
        }
        #expect(refusal(1, key) == nil)
        #expect(refusal(1, otherKey) == .keyNotBackend)
        #expect(refusal(2, key) == .contractSuspended)
        #expect(refusal(3, key) == nil)
        #expect(refusal(4, key) == .contractRejected)
        #expect(refusal(5, key) == .modeMismatch)
        #expect(refusal(6, key) == nil)
        #expect(refusal(7, key) == .contractUnknown)
    }
}

@Suite("What a new table changes")
struct RoutingDiffTests {
    @Test("names the ports, and the contracts that changed, and no others")
    func diff() {
        let before = index([
            routes(1).http("a.example"), routes(2).http("b.example"), routes(3).tcp(5...6), routes(4).http("d.example"),
        ])
        let after = index([
            routes(1).http("a.example"), routes(2).http("b.example", version: 2), routes(3).tcp(6...7),
            routes(5).http("e.example"),
        ])
        func diff(_ before: RoutingIndex, _ after: RoutingIndex) -> TableDiff {
            TableDiff(from: before, to: after, changed: Set((1...5).map { contract($0) }))
        }
        let change = diff(before, after)
        #expect(change.opened == [7])
        #expect(change.closed == [5])
        #expect(change.touched == [contract(2), contract(3), contract(4), contract(5)])
        #expect(change.ended == [contract(4)])
        let same = diff(before, before)
        #expect(same.opened.isEmpty && same.closed.isEmpty && same.touched.isEmpty && same.ended.isEmpty)
        #expect(diff(index([]), before).opened == [5, 6])
    }

    @Test("renews a running stream only while its place, its agent and its visitor are permitted")
    func renewal() {
        let route = routes().http("a.example", deny: [CIDR("198.51.100.0/24")!])
        let key = RouteKey(route)
        func isRenewed(_ list: [Route], visitor: String = "192.0.2.1") -> Bool {
            if case .permitted = RoutesInForce(index(list)).renew(
                key,
                agent: routes().key,
                visitor: IPAddress(visitor),
                at: 1000
            ) {
                return true
            }
            return false
        }
        #expect(isRenewed([route]))
        #expect(isRenewed([routes().http("a.example", version: 9)]))
        #expect(!isRenewed([]))
        #expect(!isRenewed([route], visitor: "198.51.100.7"))
        #expect(!isRenewed([routes().http("b.example")]))
        #expect(!isRenewed([routes().http("a.example", path: "/x")]))
        #expect(!isRenewed([routes().http("a.example", mode: .grace)]))
        #expect(!isRenewed([routes(2).http("a.example")]))
        #expect(!isRenewed([routes().http("a.example", backends: [Backend(id: "b", target: .key(otherKey))])]))
        #expect(!isRenewed([routes().http("a.example", expose: "other")]))
    }
}

@Suite("Balance over agents")
struct RoutingBalanceTests {
    private let agents = (1...3).map { number in
        (
            key: try! SigningKey(seed: [UInt8](repeating: UInt8(number), count: 32)).publicKey,
            weight: Int64(number * number),
            streams: 0
        )
    }

    @Test("gives each agent its weight's share in turn, never in one row")
    func roundRobin() {
        var balancer = Balancer()
        var picks: [Int] = []
        for _ in 0..<140 { picks.append(balancer.pick(agents, .roundRobin, visitor: nil)!) }
        #expect((0..<3).map { place in picks.count { $0 == place } } == [10, 40, 90])
        #expect(picks.prefix(14) == picks.suffix(14))
        #expect(Set(picks.prefix(4)).count > 1)
    }

    @Test("prefers the agent with the fewest streams for its weight")
    func leastConnections() {
        var balancer = Balancer()
        let busy = [
            (key: agents[0].key, weight: Int64(1), streams: 2), (key: agents[1].key, weight: Int64(4), streams: 7),
            (key: agents[2].key, weight: Int64(9), streams: 30),
        ]
        #expect(balancer.pick(busy, .leastConnections, visitor: nil) == 1)
        #expect(balancer.pick([], .leastConnections, visitor: nil) == nil)
    }

    @Test("keeps a visitor with its agent, in the share of the weights, and moves only those whose agent is gone")
    func clientIP() {
        var balancer = Balancer()
        var counts = [0, 0, 0]
        for number in 0..<4000 as Range<UInt32> {
            let visitor = IPAddress.v4(0x0A00_0000 + number * 7)
            let pick = balancer.pick(agents, .clientIP, visitor: visitor)!
            #expect(balancer.pick(agents, .clientIP, visitor: visitor) == pick)
            counts[pick] += 1
            if pick != 2 { #expect(balancer.pick(Array(agents.prefix(2)), .clientIP, visitor: visitor) == pick) }
        }
        for (count, share) in zip(counts, [1.0, 4.0, 9.0]) {
            let expected = 4000 * share / 14
            #expect(abs(Double(count) - expected) < expected * 0.3, "\(counts)")
        }
    }
}

/// A number alone is a TCP port.
extension LeasedPort: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: UInt16) { self.init(value, .tcp) }
}
