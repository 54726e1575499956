import Foundation
import TestSupport
import Testing

@Suite("Limits and usage, through real processes", .serialized)
struct BoundsTests {
    /// A gateway with a contract for a web page, and its agent.
    private final class Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let origin: Origin
        let contract: String
        let host = "shop.gw.test.example"
        var gatewayProcess: NodeProcess
        var agent: NodeProcess

        init(limits: String, configuration: String = "") async throws {
            deployment = try await Deployment()
            gateway = try await deployment.furnish(reserving: "shop")
            try deployment.writeConfiguration(of: gateway, more: configuration)
            origin = try await Origin.start(.http(text: "page"))
            contract = try await deployment.makeContract(
                "user",
                gateways: [gateway],
                expose: ["{ id: web, kind: http, tls: none, hosts: [\(host)], backends: [b1] }"],
                names: ["shop"],
                limits: limits
            )
            gatewayProcess = try deployment.start(gateway)
            agent = try deployment.startAgent(contract: contract, forwards: ["web=\(origin.target)"])
            try await eventually(within: 30, "the page is served") { await page("/")?.status == 200 }
        }

        func page(_ path: String) async -> (status: Int, body: String)? {
            await fetch(path, host: host, at: gateway.address, gateway.http)
        }

        /// This contract's part of `status`.
        func figures() async throws -> [String: Any] {
            let contracts = try await deployment.status(of: gateway)["contracts"] as? [[String: Any]] ?? []
            return contracts.first { $0["contract"] as? String == contract } ?? [:]
        }

        func refused(_ reason: String) async throws -> Int {
            (try await figures()["refused"] as? [String: Int])?[reason] ?? 0
        }

        /// What the gateway says about usage: its own totals, the agent's, and the ledger's.
        func usage() async throws -> (gateway: [String: Int], agent: [String: Int], ledger: [String: Int]) {
            let document = try await deployment.run(["usage", "--config", gateway.configuration, "--json"]).json()
            let contracts = document["contracts"] as? [[String: Any]] ?? []
            let row = contracts.first { $0["contract"] as? String == contract } ?? [:]
            func totals(_ value: Any?) -> [String: Int] {
                ((value as? [String: Any]) ?? [:]).compactMapValues { $0 as? Int }.filter { $0.key != "until" }
            }
            return (totals(row["gateway"]), totals((row["agents"] as? [Any])?.first), totals(row["ledger"]))
        }

        /// Waits until the gateway's file has what it counted: what it carried in the last two seconds may be lost to a kill.
        func untilDurable() async throws {
            let file = deployment.folder.appendingPathComponent("state-gw1/usage")
            try await eventually(within: 20, "the meters are durable") {
                let counted = try await usage().gateway["bytes_out"] ?? -1
                let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
                return text.contains("\"bytes_out\":\(counted),")
            }
        }

        /// What the agent keeps of it, beside the ledger's row.
        func keptByAgent() async throws -> [String: Any] {
            let flags = deployment.ledgerFlags(state: "state-reader")
            let command = ["usage", "--contract", contract, "--agent-state", "state-agent-agent"] + flags
            let document = try await deployment.run(command).json()
            let contracts = document["contracts"] as? [[String: Any]] ?? []
            return (contracts.first?["gateways"] as? [[String: Any]])?.first ?? [:]
        }
    }

    @Test("connections, bits per second and bytes of a period are held, counted and shown")
    func limits() async throws {
        let scene = try await Scene(limits: "{ conns: 2, bps: 1600kbit, bytes_period: 500KB, period: 365d }")
        let kept = try await Visitor(scene.gateway.address, scene.gateway.http)
        let other = try await Visitor(scene.gateway.address, scene.gateway.http)
        #expect(try await kept.get("/", host: scene.host).status == 200)
        #expect(try await other.get("/", host: scene.host).status == 200)
        try await eventually("a third connection is refused") { await scene.page("/")?.status == 503 }
        #expect(try await scene.refused("limit") > 0)
        await other.close()
        // 400,000 bytes at 200,000 a second, of which 65,536 pass at once.
        try await eventually("a place is free") { await scene.page("/")?.status == 200 }
        let clock = ContinuousClock()
        let start = clock.now
        #expect(await scene.page("/bytes/400000")?.body.utf8.count == 400_000)
        #expect(clock.now - start > .milliseconds(1400))
        #expect(try await scene.figures()["delays"] as? Int ?? 0 > 0)
        await kept.close()
        _ = await scene.page("/bytes/150000")
        try await eventually(within: 20, "the period is used up") { await scene.page("/")?.status == 503 }
        #expect(try await scene.refused("quota") > 0)
        let status = try await scene.deployment.status(of: scene.gateway)
        let conditions = (status["routes"] as? [[String: Any]])?.first?["conditions"] as? [[String: Any]] ?? []
        #expect(conditions.contains { $0["type"] as? String == "Allowance" && $0["reason"] as? String == "UsedUp" })
        // The period is not begun anew by a restart.
        try await scene.untilDurable()
        try await scene.gatewayProcess.killHard()
        scene.gatewayProcess = try scene.deployment.start(scene.gateway)
        try await eventually(within: 30, "still used up") {
            _ = await scene.page("/")
            return (try? await scene.refused("quota")) ?? 0 > 0
        }
    }

    @Test("usage survives kill -9 of both ends, the agent signs the same totals, and the ledger has them")
    func usage() async throws {
        let scene = try await Scene(
            limits: "{ conns: 100, bps: 1Gbit }",
            configuration: "usage: { report_every: 1s, confirm_every: 1s }"
        )
        #expect(await scene.page("/bytes/100000")?.status == 200)
        try await eventually(within: 30, "both sides agree, and the ledger has a row") {
            let usage = try await scene.usage()
            return usage.gateway["bytes_out"] ?? 0 > 100_000 && usage.agent == usage.gateway && !usage.ledger.isEmpty
        }
        try await eventually(within: 30, "the agent has made it durable") {
            let kept = try await scene.keptByAgent()
            let agent = kept["agent"] as? [String: Int]
            return try await scene.usage().gateway == agent && kept["ledger"] != nil && kept["signed"] != nil
        }
        try await scene.untilDurable()
        let before = try await scene.usage()
        try await scene.gatewayProcess.killHard()
        try await scene.agent.killHard()
        scene.gatewayProcess = try scene.deployment.start(scene.gateway)
        scene.agent = try scene.deployment.startAgent(
            contract: scene.contract,
            forwards: ["web=\(scene.origin.target)"]
        )
        try await eventually(within: 30, "the page is back") { await scene.page("/bytes/50000")?.status == 200 }
        try await eventually(within: 30, "both sides go on from where they were, and agree") {
            let after = try await scene.usage()
            let grown = (after.gateway["bytes_out"] ?? 0) - (before.gateway["bytes_out"] ?? 0)
            return grown > 50_000 && grown < 60_000 && after.agent == after.gateway
        }
        let after = try await scene.usage()
        #expect(after.gateway["bytes_out"] ?? 0 >= after.ledger["bytes_out"] ?? .max)
        // The meters of a gateway without its file go on from the ledger's row, so no report is a decrease.
        try await scene.gatewayProcess.killHard()
        try FileManager.default.removeItem(at: scene.deployment.folder.appendingPathComponent("state-gw1/usage"))
        scene.gatewayProcess = try scene.deployment.start(scene.gateway)
        try await eventually(within: 30, "the page is back") { await scene.page("/")?.status == 200 }
        let last = try await scene.usage()
        #expect(last.gateway["bytes_out"] ?? 0 > last.ledger["bytes_out"] ?? .max)
    }

    @Test(
        "the last report about a cancelled contract has every byte, also those of the moment before, and of the second after another report",
        arguments: [false, true]
    )
    func lastBytes(afterAnother: Bool) async throws {
        let scene = try await Scene(limits: "{ conns: 100, bps: 1Gbit }")
        if afterAnother {
            try await eventually(within: 30, "the ledger has a row") { try await !scene.usage().ledger.isEmpty }
        }
        let (deployment, state) = (scene.deployment, scene.deployment.ledgerFlags(state: "state-user"))
        let cancel = try NodeProcess(
            "cancel",
            ["contract", "cancel", scene.contract, "--key", "user.key"] + state,
            in: deployment.folder
        )
        var carried = 0
        while await scene.page("/bytes/30000")?.status == 200 { carried += 1 }
        #expect(try await cancel.finish().status == 0)
        #expect(carried > 0)
        try await eventually(within: 30, "the ledger has what the gateway has") {
            let usage = try await scene.usage()
            return usage.ledger["bytes_out"] ?? 0 > carried * 30_000 && usage.ledger == usage.gateway
        }
    }
}
