import Foundation
import TestSupport
import Testing

@Suite("A private service on the open network, through real processes")
struct EndToEnd {
    /// One farmer's gateway, a user with a contract for a web page, an agent, and the page's origin.
    final class Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let origin: Origin
        var gatewayProcess: NodeProcess
        var agent: NodeProcess
        let contract: String
        let host: String

        /// - Parameter ledger: where gateway and agent are told to find the ledger, which listens on 127.0.0.1 then.
        init(ledger: ((Deployment) -> String)? = nil) async throws {
            deployment = try await ledger == nil ? Deployment() : Deployment(address: "127.0.0.1")
            gateway = try await deployment.furnish(reserving: "shop")
            host = "shop.gw.test.example"
            origin = try await Origin.start(.http(text: "a private page"))
            contract = try await deployment.makeContract(
                "user",
                gateways: [gateway],
                expose: ["{ id: web, kind: http, tls: none, hosts: [\(host)], backends: [b1] }"],
                names: ["shop"]
            )
            let url = ledger?(deployment)
            if let url { try deployment.writeConfiguration(of: gateway, ledger: url) }
            gatewayProcess = try deployment.start(gateway)
            agent = try deployment.startAgent(contract: contract, forwards: ["web=\(origin.target)"])
            try await eventually(within: 20, "the page is served") { await page()?.status == 200 }
        }

        func page(_ path: String = "/") async -> (status: Int, body: String)? {
            await fetch(path, host: host, at: gateway.address, gateway.http)
        }
    }

    @Test("serves a page by Host only for the contract's host, with the fields of a proxy")
    func page() async throws {
        let scene = try await Scene()
        #expect(await scene.page()?.body == "a private page")

        let stranger = await fetch(
            "/",
            host: "other.gw.test.example",
            at: scene.gateway.address,
            scene.gateway.http
        )
        #expect(stranger?.status == 404)

        let head = try #require(await scene.page("/head")).body.lowercased()
        #expect(head.contains("host: shop.gw.test.example\r\n"))
        #expect(head.contains("x-forwarded-for: 127."))
        #expect(head.contains("x-forwarded-proto: http\r\n"))
        #expect(head.contains("forwarded: for="))
    }

    @Test("answers 503 without an agent, and serves again when it is back, without help")
    func agentComesBack() async throws {
        let scene = try await Scene()
        try await scene.agent.killHard()
        try await eventually("the gateway says that no agent is there") { await scene.page()?.status == 503 }
        scene.agent = try scene.deployment.startAgent(
            contract: scene.contract,
            forwards: ["web=\(scene.origin.target)"]
        )
        try await eventually(within: 15, "the page is back") { await scene.page()?.status == 200 }
    }

    @Test("a cancelled contract is refused within 5 s, its open connection is cut, and the ledger replays")
    func cancel() async throws {
        let scene = try await Scene()
        let kept = try await Visitor(scene.gateway.address, scene.gateway.http)
        #expect(try await kept.get("/", host: scene.host).status == 200)

        try await scene.deployment.act("user", ["contract", "cancel", scene.contract])
        try await eventually(within: 5, "new requests are refused") { await scene.page()?.status == 404 }
        let after = try? await kept.get("/", host: scene.host)
        #expect(after?.status != 200, "a kept-alive connection served a request after the cancel")

        let replay = try await scene.deployment.run([
            "audit", "replay", scene.deployment.ledgerURL, "--ledger-id", scene.deployment.ledgerID, "--dev", "--json",
        ]).json()
        #expect(replay["error"] == nil)
        #expect((replay["size"] as? Int ?? 0) > 5)
    }

    @Test("passes TLS through by SNI to the workload's own certificate, and leases a TCP port, echoing with half-close")
    func tlsAndPort() async throws {
        let deployment = try await Deployment()
        try await deployment.makeTwin("farmer")
        try await deployment.makeTwin("user")
        try await deployment.run(["keys", "new", "agent.key"])
        let gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
        try await deployment.act("user", ["name", "reserve", "safe"])
        let echo = try await Origin.start(.echo)
        let workload = try TLSWorkload(in: deployment.folder, host: "safe.gw.test.example")
        let lease = gateway.leases.lowerBound
        let contract = try await deployment.makeContract(
            "user",
            gateways: [gateway],
            expose: [
                "{ id: echo, kind: tcp, ports: [\(lease)], backends: [b1] }",
                "{ id: safe, kind: tls, hosts: [safe.gw.test.example], backends: [b1] }",
            ],
            names: ["safe"]
        )
        let process = try deployment.start(gateway)
        let agent = try deployment.startAgent(
            contract: contract,
            forwards: ["echo=\(echo.target)", "safe=\(workload.target)"]
        )

        let message = Array("through a leased port".utf8)
        try await eventually(within: 20, "the leased port echoes") {
            guard let visitor = try? await Visitor(gateway.address, lease) else { return false }
            // Until the agent is there the gateway resets the connection, at any of these steps.
            guard (try? await visitor.send(message)) != nil, (try? await visitor.finish()) != nil else { return false }
            return (try? await visitor.readToEnd(within: .seconds(5))) == message
        }
        let answer = try await workload.visit(gateway.address, gateway.https)
        #expect(answer.contains("workload's own page"))
        #expect(process.isRunning && agent.isRunning)
    }

    @Test("two gateways of two farmers serve one contract; one is killed and the other goes on")
    func twoGateways() async throws {
        let deployment = try await Deployment()
        for name in ["farmer1", "farmer2", "user"] { try await deployment.makeTwin(name) }
        try await deployment.run(["keys", "new", "agent.key"])
        let first = try await deployment.makeGateway("gw1", farmer: "farmer1", domain: "gw.test.example")
        let second = try await deployment.makeGateway("gw2", farmer: "farmer2", domain: "gw.test.example")
        try await deployment.act("user", ["name", "reserve", "both"])
        let origin = try await Origin.start(.http(text: "twice"))
        let gateways = [first, second].sorted { $0.node < $1.node }
        let contract = try await deployment.makeContract(
            "user",
            gateways: gateways,
            expose: ["{ id: web, kind: http, tls: none, hosts: [both.gw.test.example], backends: [b1] }"],
            names: ["both"]
        )
        let processes = [try deployment.start(first), try deployment.start(second)]
        let agent = try deployment.startAgent(contract: contract, forwards: ["web=\(origin.target)"])
        for gateway in [first, second] {
            try await eventually(within: 20, "\(gateway.name) serves") {
                await fetch("/", host: "both.gw.test.example", at: gateway.address, gateway.http)?.body == "twice"
            }
        }
        try await processes[0].killHard()
        let left = await fetch("/", host: "both.gw.test.example", at: second.address, second.http)
        #expect(left?.body == "twice")
        #expect(await fetch("/", host: "both.gw.test.example", at: first.address, first.http) == nil)
        #expect(agent.isRunning)
    }

    @Test("the agent may start before its ledger and gateway, and waits")
    func agentFirst() async throws {
        let scene = try await Scene()
        try await scene.gatewayProcess.killHard()
        try await scene.agent.killHard()
        try await scene.deployment.ledger!.killHard()
        scene.agent = try scene.deployment.startAgent(
            contract: scene.contract,
            forwards: ["web=\(scene.origin.target)"]
        )
        scene.gatewayProcess = try scene.deployment.start(scene.gateway)
        try await scene.deployment.startLedger()
        try await eventually(within: 20, "the page is served") { await scene.page()?.status == 200 }
    }
}

/// `openssl s_server` with a certificate of its own, and `curl` as the visitor who checks it.
final class TLSWorkload {
    private let process = Process()
    private let folder: URL
    private let host: String
    let port: UInt16
    var target: String { "127.0.0.1:\(port)" }

    init(in folder: URL, host: String) throws {
        self.folder = folder
        self.host = host
        port = try Loopback.freePort("127.0.0.1")
        let made = Process()
        made.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        made.currentDirectoryURL = folder
        made.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key",
            "-out",
            "tls.crt", "-days", "2", "-subj", "/CN=\(host)", "-addext", "subjectAltName=DNS:\(host)",
        ]
        made.standardError = FileHandle.nullDevice
        try made.run()
        made.waitUntilExit()
        try Data("workload's own page\n".utf8).write(to: folder.appendingPathComponent("page.txt"))
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.currentDirectoryURL = folder
        process.arguments = [
            "s_server", "-accept", "127.0.0.1:\(port)", "-cert", "tls.crt", "-key", "tls.key", "-WWW", "-quiet",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit { process.endNow() }

    /// Fetches the page through the gateway and trusts nothing but the workload's certificate.
    func visit(_ address: String, _ gatewayPort: UInt16) async throws -> String {
        try await awaited("the workload answers through the gateway", within: 15) {
            let curl = Process()
            let pipe = Pipe()
            curl.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
            curl.currentDirectoryURL = folder
            curl.arguments = [
                "-sS", "--max-time", "5", "--cacert", "tls.crt", "--resolve", "\(host):\(gatewayPort):\(address)",
                "https://\(host):\(gatewayPort)/page.txt",
            ]
            curl.standardOutput = pipe
            curl.standardError = FileHandle.nullDevice
            try curl.run()
            try await eventually("curl ends") { !curl.isRunning }
            let data = pipe.fileHandleForReading.readDataToEndOfFile()
            return curl.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
        }
    }
}
