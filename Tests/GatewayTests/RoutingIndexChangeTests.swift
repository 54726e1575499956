import Contracts
import TestSupport
import Testing

@testable import Gateway

@Suite("The routing index, moved from table to table")
struct RoutingIndexChangeTests {
    /// Contracts come, go and change; they claim each other's hosts, are rejected, suspended, or ask for what is not offered. The
    /// index that takes each change must answer as one that is made from the whole table.
    @Test("answers after any changes as one made anew, and names what changed", arguments: [1, 2, 3, 4] as [UInt64])
    func walk(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var world = World()
        var index = RoutingIndex(node: World.node, seed: 5)
        var conflicts = 0
        for step in 0..<300 {
            for _ in 0..<Int.random(in: 1...3, using: &random) { world.change(&random) }
            let publication = Publication(node: World.node, routes: world.routes)
            let before = index
            let diff = index.take(publication, at: 1000)
            var whole = RoutingIndex(node: World.node, seed: 6)
            _ = whole.take(publication, at: 1000)
            let answers = World.answers(index)
            #expect(answers == World.answers(whole), "seed \(seed), step \(step)")
            conflicts += answers.count { $0.contains("conflict") }
            let all = TableDiff(from: before, to: index, changed: Set(World.contracts))
            #expect(diff.opened == all.opened && diff.closed == all.closed, "seed \(seed), step \(step)")
            #expect(diff.touched == all.touched && diff.ended == all.ended, "seed \(seed), step \(step)")
            let open = World.ports.filter { index.route($0) != nil }
            #expect(
                Set(open)
                    == Set(World.ports.filter { before.route($0) != nil }).union(diff.opened).subtracting(diff.closed)
            )
        }
        #expect(conflicts > 100, "seed \(seed)")
    }

    @Test("keeps what is new waiting while the state is stale, and serves it with the next fresh one")
    func waiting() {
        let routes = (1...3).map { FrontWorld.Routes(contract: World.contracts[$0], key: World.key) }
        var index = RoutingIndex(node: World.node, seed: 5)
        func take(_ list: [Route], quorum: Timestamp) {
            _ = index.take(
                Publication(node: World.node, routes: list, freshness: Freshness(quorumTime: quorum)),
                at: 2000
            )
        }
        take([routes[0].http("a.example"), routes[1].http("a.example", rank: 1)], quorum: 2000)
        #expect(World.ask(index, "a.example") == "\(routes[0].contract)")
        // The owner of the host goes. Another one may have it, but not before the state is fresh.
        take([routes[1].http("a.example"), routes[2].http("c.example")], quorum: 1000)
        #expect(World.ask(index, "a.example") == "unknown")
        #expect(World.ask(index, "c.example") == "unknown")
        take([routes[1].http("a.example"), routes[2].http("c.example")], quorum: 1999)
        #expect(World.ask(index, "a.example") == "\(routes[1].contract)")
        #expect(World.ask(index, "c.example") == "\(routes[2].contract)")
        take([routes[1].http("a.example", version: 2), routes[1].http("d.example", version: 2)], quorum: 1000)
        #expect(World.ask(index, "a.example") == "\(routes[1].contract)")
        #expect(World.ask(index, "d.example") == "unknown")
    }

    private struct World {
        static let node = Digest.sha256([99])
        static let key = try! SigningKey(seed: [UInt8](repeating: 3, count: 32)).publicKey
        static let contracts = (0..<12).map { Digest.sha256([UInt8($0)]) }
        static let hosts = (0..<8).map { "h\($0).gw.example" } + ["*.w.example", "a.w.example"]
        static let ports = (1...24).map { LeasedPort($0, .tcp) }

        /// What each contract asks for; the order of the places is that of creation.
        private struct Terms {
            var hosts: [(host: String, path: String, auth: HostAuth, isTLS: Bool)]
            var hasPort: Bool
            var mode: RouteMode
            var conn: ConnectionMode
            var version: Int64
        }

        private var terms: [Terms?] = Array(repeating: nil, count: contracts.count)

        mutating func change(_ random: inout SplitMix64) {
            let place = Int.random(in: 0..<terms.count, using: &random)
            if terms[place] != nil, Int.random(in: 0..<3, using: &random) == 0 { return terms[place] = nil }
            let modes: [RouteMode] = [.serve, .serve, .serve, .grace, .suspended, .rejected]
            var hosts: [(host: String, path: String, auth: HostAuth, isTLS: Bool)] = []
            for host in Self.hosts.shuffled(using: &random).prefix(Int.random(in: 0...3, using: &random)) {
                let auth: HostAuth = Int.random(in: 0..<6, using: &random) == 0 ? .dns : .name
                let isTLS = Int.random(in: 0..<4, using: &random) == 0
                hosts.append((host, "/", auth, isTLS))
                if !isTLS, Bool.random(using: &random) { hosts.append((host, "/sub", auth, false)) }
            }
            terms[place] = Terms(
                hosts: hosts,
                hasPort: hosts.isEmpty || Bool.random(using: &random),
                mode: modes.randomElement(using: &random)!,
                conn: Int.random(in: 0..<8, using: &random) == 0 ? .overlay : .reverseTLS,
                version: Int64.random(in: 1...3, using: &random)
            )
        }

        /// The whole table, with the ranks that it gives.
        var routes: [Route] {
            var claims: [String: [Int]] = [:]
            var list: [Route] = []
            for (place, terms) in terms.enumerated() {
                guard let terms else { continue }
                let make = FrontWorld.Routes(contract: Self.contracts[place], key: Self.key)
                for (host, path, auth, isTLS) in terms.hosts {
                    if claims[host]?.last != place { claims[host, default: []].append(place) }
                    let rank = claims[host]!.count - 1
                    list.append(
                        isTLS
                            ? make.tls(host, mode: terms.mode, rank: rank, auth: auth)
                            : make.http(
                                host,
                                path: path,
                                mode: terms.mode,
                                rank: rank,
                                auth: auth,
                                conn: terms.conn,
                                version: terms.version
                            )
                    )
                }
                let port = UInt16(place * 2 + 1)
                if terms.hasPort { list.append(make.tcp(port...(port + UInt16(terms.version % 2)), mode: terms.mode)) }
            }
            return list
        }

        static func ask(_ index: RoutingIndex, _ host: String, _ path: String = "/") -> String {
            let bytes = Array((host + path).utf8)
            let end = host.utf8.count
            return text(
                RoutesInForce(index).permit(host: bytes.span, 0..<end, path: end..<bytes.count, visitor: nil, at: 1000)
            )
        }

        /// Everything that may be asked of an index.
        static func answers(_ index: RoutingIndex) -> [String] {
            var answers: [String] = []
            for host in hosts + ["x.w.example", "z.example"] {
                for path in ["/", "/sub/x"] { answers.append("\(host)\(path) \(ask(index, host, path))") }
                answers.append(
                    "\(host) \(text(RoutesInForce(index).permit(serverName: Array(host.utf8), visitor: nil, at: 1000)))"
                )
            }
            for port in ports {
                answers.append("\(port) \(text(RoutesInForce(index).permit(port: port, visitor: nil, at: 1000)))")
            }
            for id in contracts {
                let refusal = index.refusal(agent: key, contract: id, at: 1000)
                let verdict = index.verdict(of: id)
                answers.append("\(id) \(verdict.map { "\($0)" } ?? "absent") \(refusal.map { "\($0)" } ?? "admitted")")
            }
            return answers
        }

        private static func text(_ decision: Decision) -> String {
            switch decision {
            case .permitted(let permit): "\(permit.route.contract.id)"
            case .refused(let refusal, let contract): "\(refusal.rawValue)\(contract.map { " \($0.id)" } ?? "")"
            }
        }
    }
}
