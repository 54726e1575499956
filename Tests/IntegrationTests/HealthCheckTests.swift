import Foundation
import TestSupport
import Testing

@Suite("Health checks that agents run and push")
struct HealthCheckTests {
    /// One contract with two agents, each beside a web server of its own.
    private struct Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let gatewayProcess: NodeProcess
        var origins: [ProvingOrigin] = []
        var agents: [NodeProcess] = []
        let host = "shop.gw.test.example"

        init(check: String) async throws {
            deployment = try await Deployment()
            try await deployment.makeTwin("farmer")
            try await deployment.makeTwin("user")
            gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
            try await deployment.act("user", ["name", "reserve", "shop"])
            for name in ["one", "two"] { try await deployment.run(["keys", "new", "\(name).key"]) }
            try deployment.write(
                "contract.yaml",
                """
                gateways: ["\(gateway.node)"]
                backends: [ { id: b1, key: one.key.pub }, { id: b2, key: two.key.pub } ]
                expose: [ { id: web, kind: http, tls: none, hosts: [\(host)] } ]
                names: [shop]
                valid: 1d
                """
            )
            let contract = try await deployment.act("user", ["contract", "create", "contract.yaml"]).json()["id"]
            gatewayProcess = try deployment.start(gateway)
            for name in ["one", "two"] {
                let origin = try await ProvingOrigin(
                    name,
                    address: "::1",
                    .missing,
                    in: deployment.folder,
                    network: nil
                )
                try deployment.write(
                    "\(name).yaml",
                    """
                    ledger: { urls: ["\(deployment.ledgerURL)"], id: "\(deployment.ledgerID)", dev: true }
                    key: \(name).key
                    state: state-\(name)-agent
                    contracts:
                      "\(contract ?? "")": { web: { to: "\(origin.target)", check: \(check) } }
                    """
                )
                origins.append(origin)
                agents.append(
                    try NodeProcess(
                        "agent-\(name)",
                        ["tunnel", "--config", "\(name).yaml", "--json"],
                        in: deployment.folder
                    )
                )
            }
        }

        func bodies(_ count: Int) async -> [String] {
            var list: [String] = []
            for _ in 0..<count {
                list.append(await fetch("/", host: host, at: gateway.address, gateway.http)?.body ?? "none")
            }
            return list
        }

        /// The health events of an agent: state and reason.
        func events(_ agent: Int) -> [String] {
            agents[agent].output.split(separator: "\n").filter { $0.contains(#""event":"health""#) }.map(String.init)
        }
    }

    @Test("a service that fails its http check is left within one check, told once, and taken back after two good ones")
    func http() async throws {
        let scene = try await Scene(check: "{ kind: http:/health, interval: 500ms, timeout: 300ms, rise: 2, fall: 1 }")
        try await eventually(within: 20, "both serve") { Set(await scene.bodies(4)) == ["one", "two"] }
        #expect(scene.events(0).isEmpty)

        try scene.origins[0].set(health: 500)
        let failed = ContinuousClock.now
        try await eventually(within: 5, "only the other one is asked") { Set(await scene.bodies(6)) == ["two"] }
        print("a failed service was left \(ContinuousClock.now - failed) after it failed; the interval is 0.5 s")
        #expect(ContinuousClock.now - failed < .seconds(3))
        let checks = scene.origins[0].asked.count { $0 == "/health" }
        try await eventually("five more checks fail") {
            scene.origins[0].asked.count { $0 == "/health" } >= checks + 5
        }
        #expect(scene.events(0).count == 1, "\(scene.events(0))")
        #expect(scene.events(0)[0].contains(#""exposure":"web","state":"down","reason":"status 500""#))
        #expect(Set(await scene.bodies(6)) == ["two"])

        // A visitor is not turned away when nothing better is left.
        try scene.origins[1].set(health: 503)
        try await eventually("both are down") { scene.events(1).count == 1 }
        #expect(!(await scene.bodies(4)).contains("none"))
        try scene.origins[1].set(health: 204)

        try scene.origins[0].set(health: 200)
        try await eventually("both are up again") { scene.events(0).count == 2 && scene.events(1).count == 2 }
        #expect(scene.events(0)[1].contains(#""state":"up""#))
        try await eventually("both serve again") { Set(await scene.bodies(4)) == ["one", "two"] }
    }

    @Test("a gateway that starts later is told what is down, and a tcp check sees a closed port")
    func told() async throws {
        let scene = try await Scene(check: "{ kind: tcp, interval: 300ms }")
        try await eventually(within: 20, "both serve") { Set(await scene.bodies(4)) == ["one", "two"] }
        try await scene.origins[0].end()
        try await eventually("the check sees it") { scene.events(0).count == 1 }
        #expect(
            scene.events(0)[0].contains(#""state":"down","reason":"the connection was refused""#),
            "\(scene.events(0))"
        )
        try await scene.gatewayProcess.killHard()
        let fresh = try scene.deployment.start(scene.gateway)
        try await eventually(within: 20, "the fresh gateway serves") { Set(await scene.bodies(6)) == ["two"] }
        #expect(fresh.isRunning && scene.events(0).count == 1)
    }
}
