import Foundation
import TestSupport
import Testing

@Suite("Workloads that agents reach over TLS", .serialized)
struct SecureTargetTests {
    private static let host = "shop.gw.test.example"

    /// One contract: web exposures by path, streams by leased port, all of one agent.
    private struct Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let workloads: TLSWorkloads
        let processes: [NodeProcess]
        var agent: NodeProcess { processes[1] }

        /// - Parameters:
        ///   - web: by exposure, what `agent.yaml` says of its target; visitors find it at the path of the same name; `whole` is
        ///     of the kind tls.
        ///   - ports: exposures of kind tcp, with more members of theirs in the contract, and what `agent.yaml` says.
        init(
            _ kinds: [(name: String, kind: TLSWorkloads.Kind, certificate: String)],
            web: (Deployment, TLSWorkloads) async throws -> [String: String] = { _, _ in [:] },
            ports: (TLSWorkloads) -> [(id: String, contract: String, agent: String)] = { _ in [] }
        ) async throws {
            deployment = try await Deployment()
            workloads = try await TLSWorkloads(kinds, in: deployment)
            gateway = try await deployment.furnish(reserving: "shop")
            let web = try await web(deployment, workloads)
            let ports = ports(workloads)
            let firstPort = Int(gateway.leases.lowerBound)
            let contract = try await deployment.makeContract(
                "user",
                gateways: [gateway],
                expose: web.keys.sorted().map {
                    $0 == "whole"
                        ? "{ id: whole, kind: tls, hosts: [\(host)], backends: [b1] }"
                        : "{ id: \($0), kind: http, tls: none, hosts: [\(host)], path: /\($0), backends: [b1] }"
                }
                    + ports.enumerated().map { place, item in
                        "{ id: \(item.id), kind: tcp, ports: [\(firstPort + place)], backends: [b1]\(item.contract) }"
                    },
                names: web.isEmpty ? [] : ["shop"]
            )
            let targets = web.map { "    \($0.key): \($0.value)" } + ports.map { "    \($0.id): \($0.agent)" }
            try deployment.write(
                "agent.yaml",
                """
                ledger: { urls: ["\(deployment.ledgerURL)"], id: "\(deployment.ledgerID)", dev: true }
                key: agent.key
                state: state-agent
                contracts:
                  "\(contract)":
                \(targets.joined(separator: "\n"))
                """
            )
            let gatewayProcess = try deployment.start(gateway)
            let agent = try NodeProcess(
                "agent",
                ["tunnel", "--config", "agent.yaml", "--json"],
                in: deployment.folder,
                environment: ["SSL_CERT_FILE": deployment.folder.appendingPathComponent("ca.pem").path]
            )
            processes = [gatewayProcess, agent]
            try await eventually(within: 20, "the agent serves") { agent.output.contains(#""state":"serving""#) }
        }

        func get(_ path: String) async -> (status: Int, body: String)? {
            await fetch("/\(path)", host: host, at: gateway.address, gateway.http)
        }

        func port(_ place: Int) -> UInt16 { gateway.leases.lowerBound + UInt16(place) }

        /// What the agent says of an exposure, in order: the states and reasons of its events of a kind.
        func events(_ kind: String, _ exposure: String) -> [String] {
            agent.output.split(separator: "\n").map(String.init).filter {
                $0.contains(#""event":"\#(kind)""#) && $0.contains(#""exposure":"\#(exposure)""#)
            }
        }
    }

    @Test(
        "a certificate of a trusted issuer or a pinned one is served; any other is refused with a sentence that says why"
    )
    func trust() async throws {
        let scene = try await Scene([
            ("good", .http, "good"), ("own", .http, "own"), ("old", .http, "old"), ("ancient", .ancient, "good"),
            ("plain", .plain, "good"),
        ]) { deployment, workloads in
            let pin = try await TLSWorkloads.fingerprint("own", deployment)
            let keyPin = try await TLSWorkloads.keyFingerprint("own", deployment)
            let (good, own) = (workloads.target("good"), workloads.target("own"))
            return [
                "ca":
                    "{ to: \"\(good)\", ca: ca.pem, name: shop.internal, check: { kind: http:/health, interval: 200ms } }",
                "address": "{ to: \"\(good)\", ca: ca.pem }",
                "whole": "\"\(good)\"",
                "system": "{ to: \"\(good)\", name: shop.internal }",
                "listed": "{ to: \"\(own)\", ca: own.pem, name: own.internal }",
                "pin": "{ to: \"\(own)\", pin: \"\(pin)\" }",
                "key-pin": "{ to: \"\(own)\", pin: [\"sha256:\(String(repeating: "1", count: 64))\", \"\(keyPin)\"] }",
                "wrong-name": "{ to: \"\(good)\", ca: ca.pem, name: other.internal }",
                "wrong-issuer": "{ to: \"\(good)\", ca: own.pem, name: shop.internal }",
                "self-signed": "\"\(own)\"",
                "wrong-pin": "{ to: \"\(own)\", pin: \"sha256:\(String(repeating: "2", count: 64))\", check: tcp }",
                "expired": "{ to: \"\(workloads.target("old"))\", ca: ca.pem }",
                "ancient": "{ to: \"\(workloads.target("ancient"))\", ca: ca.pem }",
                "plain": "{ to: \"\(workloads.target("plain"))\", ca: ca.pem }",
            ]
        }
        for (path, name) in [
            ("ca", "shop.internal"), ("address", "None"), ("system", "shop.internal"), ("listed", "own.internal"),
            ("pin", "None"), ("key-pin", "None"),
        ] {
            let answer = await scene.get(path)
            #expect(answer?.status == 200, "\(path): \(scene.events("workload", path))")
            #expect(answer?.body == name, "\(path): the name asked for by SNI")
            #expect(scene.events("workload", path).isEmpty)
        }
        let pin = try await TLSWorkloads.fingerprint("own", scene.deployment)
            .lowercased().replacing("sha256:", with: "").replacing(":", with: "")
        for (path, reason) in [
            ("wrong-name", "its certificate does not name other.internal; say which name it has, or pin it"),
            (
                "wrong-issuer",
                "nobody who is trusted issued its certificate; name the issuer's certificate, or pin this one"
            ),
            (
                "self-signed",
                "nobody who is trusted issued its certificate; name the issuer's certificate, or pin this one"
            ),
            ("wrong-pin", "its certificate is not the pinned one but sha256:\(pin); find out why"),
            ("expired", "its certificate, or that of an issuer, has expired; renew it"),
            ("ancient", "it speaks no TLS 1.2 and nothing newer; update it"),
            ("plain", "it does not speak TLS; use a target without tls://"),
        ] {
            for _ in 0..<2 { #expect(await scene.get(path)?.status == 502, "\(path)") }
            try await eventually("the agent says why \(path) fails") { !scene.events("workload", path).isEmpty }
            let events = scene.events("workload", path)
            #expect(events.count == 1, "told once: \(events)")
            #expect(events.first?.contains(#""state":"unreachable","reason":"\#(reason)""#) == true, "\(events)")
        }
        try await eventually("a check goes as far as the handshake") {
            scene.events("health", "wrong-pin").first?.contains("its certificate is not the pinned one") == true
        }
        #expect(scene.events("health", "ca").isEmpty)
        let before = try scene.agent.usage().descriptors
        for _ in 0..<20 {
            for path in ["ca", "wrong-pin", "wrong-name", "plain"] { _ = await scene.get(path) }
        }
        try await eventually("every descriptor comes back") { try scene.agent.usage().descriptors <= before }
        #expect(
            scene.agent.errors.contains("is of the kind tls, which cannot lead to \(scene.workloads.target("good"))")
        )
        let whole = try BlockingSocket.connected(scene.gateway.address, scene.gateway.https)
        whole.setDeadline(seconds: 20)
        #expect(whole.write(PlainHello.bytes(Self.host)[...]))
        #expect(await onThread { whole.readToEnd() } == nil)
    }

    @Test(
        "expose and tunnel take what they need to know of a workload over TLS as flags, and say what is wrong with it"
    )
    func flags() async throws {
        let deployment = try await Deployment()
        let workloads = try await TLSWorkloads([("own", .http, "own"), ("good", .http, "good")], in: deployment)
        try await deployment.makeTwin("farmer")
        try await deployment.makeTwin("user")
        try await deployment.run(["keys", "new", "agent.key"])
        let gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
        let gatewayProcess = try deployment.start(gateway)
        let pin = try await TLSWorkloads.fingerprint("own", deployment)
        let own = [
            "expose", workloads.target("own"), "--name", "shop", "--key", "user.key", "--agent-key", "agent.key",
        ]
        func page() async -> (status: Int, body: String)? {
            await fetch("/", host: Self.host, at: gateway.address, gateway.http)
        }
        func start(_ name: String, _ arguments: [String]) throws -> NodeProcess {
            try NodeProcess(name, arguments + deployment.ledgerFlags(state: "state-\(name)"), in: deployment.folder)
        }

        let wrong = try start("wrong", own + ["--tls-pin", "sha256:\(String(repeating: "3", count: 64))"])
        try await eventually(within: 30, "visitors are told that the workload is not there: \(wrong.output)") {
            await page()?.status == 502
        }
        try await eventually("expose says why: \(wrong.output)") {
            wrong.output.contains(#""reason":"its certificate is not the pinned one but sha256:"#)
        }
        wrong.send(SIGINT)
        #expect(try await wrong.finish().status == 0)

        let right = try start("right", own + ["--tls-pin", pin, "--keep"])
        try await eventually(within: 30, "the pinned workload is served: \(right.output)") {
            await page()?.status == 200
        }
        #expect(!right.output.contains("unreachable"))
        right.send(SIGINT)
        let finished = try await right.finish()
        #expect(finished.status == 0, "\(finished)")
        let contract = try #require((finished.output + finished.errors).firstMatch(of: /contract ([0-9a-f]{64})/)?.1)

        let tunnel = try start(
            "tunnel",
            [
                "tunnel", "--contract", String(contract), "--forward", "web=\(workloads.target("good"))", "--tls-ca",
                "web=ca.pem", "--tls-name", "web=shop.internal", "--key", "agent.key",
            ]
        )
        try await eventually(within: 30, "the workload with the issuer and name is served: \(tunnel.errors)") {
            await page()?.body == "shop.internal"
        }
        #expect(gatewayProcess.isRunning)
    }

    @Test(
        "8 MB go each way at once over TLS, byte for byte, with half-close; a PROXY header goes in plain before the handshake"
    )
    func streams() async throws {
        let scene = try await Scene(
            [
                ("echo", .echo, "good"), ("proxied", .proxied, "good"), ("cut", .cut, "good"),
                ("silent", .silent, "good"), ("proxied2", .proxied2, "good"),
            ],
            ports: { workloads in
                [
                    ("echo", "", "{ to: \"\(workloads.target("echo"))\", ca: ca.pem }"),
                    ("proxied", ", proxy: 1", "{ to: \"\(workloads.target("proxied"))\", ca: ca.pem }"),
                    ("cut", "", "{ to: \"\(workloads.target("cut"))\", ca: ca.pem }"),
                    ("silent", "", "{ to: \"\(workloads.target("silent"))\", ca: ca.pem }"),
                    ("proxied2", ", proxy: 2", "{ to: \"\(workloads.target("proxied2"))\", ca: ca.pem }"),
                ]
            }
        )
        let address = scene.gateway.address

        let bytes = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }
        let (echo, port) = (scene.port(0), scene.port(1))
        #expect(await onThread { Self.exchange(address, echo, bytes) } == bytes)

        let short = Array(bytes.prefix(100_000))
        let answer = await onThread { Self.exchange(address, port, short) } ?? []
        let end = try #require(answer.firstIndex(of: 0x0A))
        let header = String(decoding: answer[...end], as: UTF8.self)
        #expect(
            header.hasPrefix("PROXY TCP4 ")
                && header.hasSuffix(" \(address) \(header.split(separator: " ")[4]) \(port)\r\n")
        )
        #expect(Array(answer[(end + 1)...]) == short)

        let binary = scene.port(4)
        let second = await onThread { Self.exchange(address, binary, short, from: "127.0.0.77") } ?? []
        let signature: [UInt8] = [
            0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12,
        ]
        #expect(Array(second.prefix(20)) == signature + [127, 0, 0, 77])
        #expect(second.dropFirst(20).prefix(4).map(String.init).joined(separator: ".") == address)
        #expect(Array(second.dropFirst(26).prefix(2)) == [UInt8(binary >> 8), UInt8(truncatingIfNeeded: binary)])
        #expect(Array(second.dropFirst(28)) == short)

        let cut = try BlockingSocket.connected(address, scene.port(2))
        cut.setDeadline(seconds: 20)
        let rest = await onThread { cut.readToEnd() }
        #expect(rest == nil, "an end that anybody could have made is no end")

        guard More.heavy else { return }
        let silent = try BlockingSocket.connected(address, scene.port(3))
        silent.setDeadline(seconds: 30)
        let isReset = await onThread { silent.readToEnd() == nil }
        #expect(isReset)
        #expect(
            scene.events("workload", "silent").first?.contains(#""reason":"no TLS handshake within 10 s""#) == true
        )
    }

    /// Sends everything and half-closes while it reads up to the end.
    private static func exchange(
        _ address: String,
        _ port: UInt16,
        _ bytes: [UInt8],
        from source: String? = nil
    ) -> [UInt8]? {
        guard let visitor = try? BlockingSocket.connected(address, port, source: source) else { return nil }
        visitor.setDeadline(seconds: 60)
        Thread.detachNewThread {
            _ = visitor.write(bytes[...])
            visitor.finish()
        }
        return visitor.readToEnd()
    }
}
