import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

/// A gateway and an agent as processes, behind a ledger whose witnesses sign with the time that the test wants.
@Suite("A gateway whose ledger grows old", .serialized)
struct StaleGatewayTests {
    private static let key = TestLog.key(1, 70)
    private static let agent = TestLog.key(1, 71)
    private static let now = Timestamp(Date().timeIntervalSince1970)

    /// A log of a farmer, who is user and node as well, from 20 days ago.
    private struct World {
        var log = TestLog(time: StaleGatewayTests.now - 1_728_000)
        let twin: Identifier
        let node: Identifier
        let (http, tunnel): (Int, Int)

        init(ports: (Int, Int)) throws {
            (http, tunnel) = ports
            twin = log.appendTwin(key)
            let farm = log.append(.farmCreate(FarmCreateBody(name: "farm")), account: twin, key: key)
            let details = NodeDetails(
                domains: ["gw.example.org"],
                endpoints: [Endpoint(host: "127.0.0.1", port: UInt16(ports.1), proto: .tunnel)],
                offer: Offer(
                    bps: 1_000_000_000,
                    conns: 1000,
                    kinds: [.http],
                    modes: [.reverseTLS],
                    price: Price(currency: "EUR", gib: "0", hour: "0")
                ),
                region: Region(country: "BE"),
                transportKey: key.publicKey
            )
            let body = NodeRegisterBody(details: details, farm: farm, name: "gw1", twin: twin)
            node = log.append(.nodeRegister(body), account: twin, key: key)
        }

        mutating func contract(_ name: String, maxStale: Int64? = nil) -> Identifier {
            let id = log.append(.nameCreate(NameCreateBody(name: name)), account: twin, key: key)
            let spec = ContractSpec(
                backends: [Backend(id: "b1", target: .key(agent.publicKey))],
                conn: .reverseTLS,
                expose: [
                    Expose(
                        id: "web",
                        kind: .http,
                        backends: ["b1"],
                        hosts: ["\(name).gw.example.org"],
                        tls: HTTPTLS.none
                    )
                ],
                gateways: [node],
                limits: ContractLimits(bps: 1_000_000, conns: 100),
                nameContracts: [id],
                notBefore: log.time,
                notAfter: log.time + 5_184_000,
                drain: 0,
                maxStale: maxStale
            )
            return log.append(.contractCreate(ContractCreateBody(spec: spec)), account: twin, key: key)
        }
    }

    /// What the server shows: a log, and the time of its cosignatures.
    private struct Shown {
        var log: TestLog
        var time: Timestamp
    }

    private func serving(
        _ world: World,
        age: Int64,
        _ body: (NIOLockedValueBox<Shown>, TemporaryFolder) async throws -> Void
    ) async throws {
        let shown = NIOLockedValueBox(Shown(log: world.log, time: Self.now - age))
        let answer: LyingServer.Answer = { request in
            guard request.method == "GET" else { return .respond(503) }
            if request.query("wait") != nil { try? await Task.sleep(for: .milliseconds(200)) }
            let shown = shown.withLockedValue { $0 }
            return shown.log.answer(request, at: shown.time)
        }
        try await LyingServer.serving(answer) { server in
            let folder = try TemporaryFolder()
            let ledger = "{ urls: [\"\(server.url)\"], id: \"\(world.log.ledgerID.hex)\" }"
            try folder.write("node.key", "\(Self.seed(70))\n", mode: 0o600)
            try folder.write("agent.key", "\(Self.seed(71))\n", mode: 0o600)
            try folder.write(
                "gateway.yaml",
                """
                ledger: \(ledger)
                node: { id: "\(world.node.hex)", key: node.key }
                state: gateway.state
                bind:
                  http: ["127.0.0.1:\(world.http)"]
                  tunnel: ["127.0.0.1:\(world.tunnel)"]
                  admin: "unix:admin.sock"
                """
            )
            try folder.write("ledger.txt", ledger)
            try await body(shown, folder)
        }
    }

    private static func seed(_ number: UInt8) -> String { Hex.encode([1, number] + [UInt8](repeating: 7, count: 30)) }

    private func page(_ name: String, _ world: World) async -> (status: Int, text: String)? {
        let request = "GET / HTTP/1.1\r\nHost: \(name).gw.example.org\r\nConnection: close\r\n\r\n"
        guard let reply = try? await RawHTTP.exchange(port: world.http, Array(request.utf8)) else { return nil }
        return (reply.status, reply.text)
    }

    private func ledger(_ folder: TemporaryFolder) async throws -> [String: Any] {
        let result = try await GWNode.run(["status", "--admin", "admin.sock", "--json"], in: folder)
        return result.json?["ledger"] as? [String: Any] ?? [:]
    }

    /// Ports that were free a moment ago.
    private static func ports() async throws -> (Int, Int) {
        try await LyingServer.serving(.close) { one in
            try await LyingServer.serving(.close) { other in (one.port, other.port) }
        }
    }

    @Test(
        "older than 900 s: serves on, lets its agent reconnect, binds no new host, stops what allows less; then recovers"
    )
    func stale() async throws {
        var world = try World(ports: try await Self.ports())
        let shop = world.contract("shop")
        _ = world.contract("brief", maxStale: 300)
        try await serving(world, age: 1000) { shown, folder in
            try await LyingServer.serving(.respond(200, body: Array("a page".utf8))) { origin in
                try folder.write(
                    "agent.yaml",
                    """
                    ledger: \(try String(contentsOfFile: folder.path("ledger.txt"), encoding: .utf8))
                    key: agent.key
                    state: agent.state
                    contracts: { "\(shop.hex)": { web: "127.0.0.1:\(origin.port)" } }
                    """
                )
                let gateway = try RunningGWNode(["run", "--config", "gateway.yaml"], in: folder)
                let agent = try RunningGWNode(["tunnel", "--config", "agent.yaml"], in: folder)
                try await eventually(within: 60, "the page is served: \(gateway.complaints)\(agent.complaints)") {
                    await page("shop", world)?.status == 200
                }
                let old = try await ledger(folder)
                #expect(old["condition"] as? String == "LedgerStale", "\(old)")
                #expect(((old["alarms"] as? [[String: Any]])?.first?["code"] as? String) == "LedgerStale")
                let brief = await page("brief", world)
                #expect(
                    brief?.status == 503 && brief?.text.contains("lost touch") == true,
                    "\(String(describing: brief))"
                )

                var later = world
                _ = later.contract("late")
                shown.withLockedValue { [log = later.log] in $0 = Shown(log: log, time: Self.now - 990) }
                try await eventually(within: 60, "the gateway has verified the new contract") {
                    try await ledger(folder)["size"] as? Int == later.log.leaves.count
                }
                #expect(await page("late", world)?.status == 404)
                #expect(await page("shop", world)?.status == 200)

                agent.signal(SIGKILL)
                try await eventually(within: 60, "the agent is gone") { await page("shop", world)?.status == 503 }
                let back = try RunningGWNode(["tunnel", "--config", "agent.yaml"], in: folder)
                try await eventually(within: 60, "a known agent may come back: \(back.complaints)") {
                    await page("shop", world)?.status == 200
                }

                shown.withLockedValue { $0.time = Timestamp(Date().timeIntervalSince1970) }
                try await eventually(within: 60, "the new host is bound when the ledger is fresh again") {
                    await page("late", world)?.status == 503
                }
                #expect(await page("brief", world)?.text.contains("lost touch") == false)
                #expect(try await ledger(folder)["condition"] as? String == "normal")
                #expect(gateway.isRunning && back.isRunning)
            }
        }
    }

    @Test("older than 14 days: every contract drains, whatever it allows")
    func expired() async throws {
        var world = try World(ports: try await Self.ports())
        _ = world.contract("shop", maxStale: 1_209_600)
        try await serving(world, age: 1_209_700) { shown, folder in
            let gateway = try RunningGWNode(["run", "--config", "gateway.yaml"], in: folder)
            try await eventually(within: 60, "the gateway says how old its state is: \(gateway.complaints)") {
                try await ledger(folder)["condition"] as? String == "expired"
            }
            let page = await page("shop", world)
            #expect(page?.status == 503 && page?.text.contains("lost touch") == true, "\(String(describing: page))")
        }
    }
}
