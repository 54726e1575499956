import Foundation
import TestSupport
import Testing

@Suite("Overlay contracts: the gateway dials addresses of the Planetary network, in a network namespace")
struct OverlayTests {
    /// A farmer's gateway and a user's name, and a network with addresses of 0200::/7 and 0400::/7 behind it.
    final class Scene {
        let network: OverlayNetwork
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let host = "shop.gw.test.example"
        var process: NodeProcess?

        /// Nil where no network namespace can be made.
        init?(recheck: String = "1s") async throws {
            guard let network = OverlayNetwork.make() else { return nil }
            self.network = network
            deployment = try await Deployment()
            try await deployment.makeTwin("farmer")
            try await deployment.makeTwin("user")
            gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
            try deployment.writeConfiguration(of: gateway, more: "limits: { overlay_recheck: \(recheck) }")
            try await deployment.act("user", ["name", "reserve", "shop"])
        }

        func origin(
            _ name: String,
            _ proof: ProvingOrigin.Proof = .right,
            range: Int = 0,
            number: Int = 2,
            certificate: String? = nil
        ) async throws -> ProvingOrigin {
            try await ProvingOrigin(
                name,
                address: network.address(number, range: range),
                proof,
                in: deployment.folder,
                network: network,
                certificate: certificate
            )
        }

        func contract(_ targets: [String], expose: String? = nil, more: String = "") async throws -> String {
            let ids = (1...targets.count).map { "b\($0)" }
            let backends = zip(ids, targets).map { "{ id: \($0), address: \"\($1)\", weight: 10 }" }
            let web = "{ id: web, kind: http, tls: none, hosts: [\(host)], backends: [\(ids.joined(separator: ", "))] }"
            let file = "contract-\(UUID().uuidString.prefix(8)).yaml"
            try deployment.write(
                file,
                """
                gateways: ["\(gateway.node)"]
                conn: overlay
                backends: [ \(backends.joined(separator: ", ")) ]
                expose:
                  - \(expose ?? web)
                names: [shop]
                limits: { conns: 10000, bps: 100Gbit }
                valid: 30d
                drain: 1s
                \(more)
                """
            )
            return try await deployment.act("user", ["contract", "create", file]).json()["id"] as? String ?? ""
        }

        /// What the ledger shows of the contract.
        func shown(_ contract: String) async throws -> String {
            let flags = deployment.ledgerFlags(state: "state-user")
            return try await deployment.run(["contract", "show", contract] + flags).output
        }

        func startGateway() throws { process = try deployment.start(gateway) }

        func page(_ path: String = "/") async -> (status: Int, body: String)? {
            await fetch(path, host: host, at: gateway.address, gateway.http)
        }

        /// A condition of the one route, as `status` tells it: status, reason, message.
        func condition(_ type: String) async -> (status: String, reason: String, message: String)? {
            // Until its admin socket is open there is nothing to tell.
            guard let status = try? await deployment.status(of: gateway) else { return nil }
            let routes = status["routes"] as? [[String: Any]] ?? []
            let conditions = routes.first?["conditions"] as? [[String: Any]] ?? []
            guard let found = conditions.first(where: { $0["type"] as? String == type }) else { return nil }
            func text(_ name: String) -> String { found[name] as? String ?? "" }
            return (text("status"), text("reason"), text("message"))
        }
    }

    @Test("serves http from backends of both ranges in turn, with the fields of a proxy, and never asks DNS")
    func serves() async throws {
        guard let scene = try await Scene() else { return }
        let dns = try CountingResolver()
        let first = try await scene.origin("one")
        let second = try await scene.origin("two", range: 1)
        _ = try await scene.contract([first.target, second.target])
        let deployment = scene.deployment
        try deployment.write("resolv.conf", "nameserver \(dns.address)\noptions timeout:1 attempts:1\n")
        func withResolver(_ name: String, _ program: [String]) throws -> NodeProcess {
            let script = "mount --bind resolv.conf /etc/resolv.conf && exec \"$@\""
            return try NodeProcess(
                name,
                ["-m", "sh", "-c", script, "sh"] + program,
                in: deployment.folder,
                program: URL(fileURLWithPath: "/usr/bin/unshare")
            )
        }
        // The counter counts: a program that does look a name up is seen.
        _ = try await withResolver("lookup", ["getent", "ahosts", "control.example"]).finish()
        #expect(dns.count > 0)
        let before = dns.count

        scene.process = try withResolver("gw1", [GWNode.program.path, "run", "--config", scene.gateway.configuration])
        try await eventually(within: 20, "both backends are proven") {
            let proven = await scene.condition("Proven")
            return proven?.reason == "ProofPresent" && proven?.message == ""
        }
        var bodies: [String] = []
        for _ in 0..<8 { bodies.append(await scene.page()?.body ?? "") }
        #expect(bodies.count { $0 == "one" } == 4 && bodies.count { $0 == "two" } == 4, "\(bodies)")

        let head = try #require(await scene.page("/head")).body.lowercased()
        #expect(head.contains("host: shop.gw.test.example"))
        #expect(head.contains("x-forwarded-for: 127."))
        let bulk = try #require(await scene.page("/bytes/5000000"))
        #expect(bulk.body.utf8.count == 5_000_000)
        let kept = try await Visitor(scene.gateway.address, scene.gateway.http)
        for _ in 0..<20 { #expect(try await kept.get("/", host: scene.host).status == 200) }
        let body = String(repeating: "b", count: 300_000)
        try await kept.send("POST / HTTP/1.1\r\nHost: \(scene.host)\r\nContent-Length: 300000\r\n\r\n\(body)")
        let posted = try await kept.read { String(decoding: $0, as: UTF8.self).hasSuffix("\r\n\r\n300000") }
        #expect(posted)
        #expect(dns.count == before, "\(dns.count - before) questions reached the resolver")
        // Every request but those for the proof came from a visitor.
        #expect(first.asked.contains { $0.hasPrefix("/.well-known/webgw/") })
    }

    @Test("serves nothing before the proof, says what is missing, and stops within the re-check when it is withdrawn")
    func withdrawn() async throws {
        guard let scene = try await Scene() else { return }
        let origin = try await scene.origin("one", .missing)
        let contract = try await scene.contract([origin.target])
        try scene.startGateway()
        try await eventually(within: 20, "status says that the proof is missing") {
            await scene.condition("Proven")?.message.contains("it answers with status 404") == true
        }
        #expect(await scene.page()?.status == 503)
        #expect(!origin.asked.contains("/"), "a visitor reached an unproven workload")
        #expect(await scene.condition("Proven")?.reason == "ProofMissing")
        let deployed = try #require(await scene.condition("Deployed"))
        #expect(deployed.status == "False" && deployed.reason == "BackendUnreachable")
        #expect(deployed.message.contains("no backend proves that it belongs to this contract: b1 \(origin.target)"))
        try await eventually(within: 20, "the ledger has the reason") {
            try await scene.shown(contract).contains("BackendUnreachable")
        }

        try origin.set(.right)
        try await eventually(within: 10, "the proof is found") { await scene.page()?.status == 200 }
        let kept = try await Visitor(scene.gateway.address, scene.gateway.http)
        #expect(try await kept.get("/", host: scene.host).status == 200)

        try origin.set(.missing)
        let withdrawn = ContinuousClock.now
        try await eventually(within: 5, "nothing is served any more") { await scene.page()?.status == 503 }
        let took = ContinuousClock.now - withdrawn
        print("a withdrawn proof ended service after \(took); the re-check is 1 s")
        #expect(took < .seconds(4))
        let after = try? await kept.get("/", host: scene.host)
        #expect(after?.status != 200, "a kept-alive connection was served without the proof")
        #expect(await scene.condition("Proven")?.message.contains("404") == true)

        try origin.set(.right)
        try await eventually(within: 10, "served again") { await scene.page()?.status == 200 }
        // A server that fails keeps its proof.
        try origin.set(.broken)
        try await eventually(within: 10, "the failing look is told") {
            await scene.condition("Proven")?.message.contains("status 500") == true
        }
        #expect(await scene.condition("Proven")?.reason == "BackendSilent")
        #expect(await scene.page()?.status == 200)
    }

    @Test(
        "a wrong, redirected, slow or endless proof is none, is told in words, and costs the gateway nothing",
        arguments: [
            (ProvingOrigin.Proof.wrong, "is not the contract's id"),
            (.line, "has 65 bytes, not the 64 of the contract's id alone"),
            (.redirect, "redirects are not followed"),
            (.slow, "did not answer within 5 s"),
            (.endless, "is more than the contract's id"),
            (.broken, "answers with status 500"),
        ]
    )
    func wrongProofs(proof: ProvingOrigin.Proof, words: String) async throws {
        guard let scene = try await Scene() else { return }
        let origin = try await scene.origin("one", proof)
        _ = try await scene.contract([origin.target])
        try scene.startGateway()
        try await eventually(within: 20, "status says: \(words)") {
            await scene.condition("Proven")?.message.contains(words) == true
        }
        let process = try #require(scene.process)
        let before = try process.usage()
        let looks = origin.asked.count
        try await eventually(within: 20, "it is looked at again") { origin.asked.count >= looks + 2 }
        let after = try process.usage()
        #expect(await scene.page()?.status == 503)
        #expect(!origin.asked.contains { !$0.hasPrefix("/.well-known/webgw/") }, "\(origin.asked)")
        #expect(after.residentKiB < before.residentKiB + 8 * 1024, "\(before) became \(after)")
        #expect(after.descriptors <= before.descriptors + 2, "\(before) became \(after)")
    }

    @Test("never dials an address of its own host, though a workload there would prove itself, and says so")
    func ownAddress() async throws {
        guard let scene = try await Scene() else { return }
        let origin = try await ProvingOrigin(
            "own",
            address: scene.network.own[0],
            .right,
            in: scene.deployment.folder,
            network: nil
        )
        let contract = try await scene.contract([origin.target])
        try scene.startGateway()
        try await eventually(within: 20, "the contract is rejected on the ledger") {
            let shown = try await scene.shown(contract)
            return shown.contains("rejected") && shown.contains("NotAllowedByPolicy")
        }
        #expect(await scene.condition("Proven")?.reason == "OwnAddress")
        let deployed = try #require(await scene.condition("Deployed"))
        #expect(deployed.message.contains("it is an address of this gateway or its host"))
        #expect(await scene.page()?.status == 404)
        #expect(origin.asked.isEmpty, "the gateway asked itself: \(origin.asked)")
    }

    @Test("leaves a dead backend at once, loses no request that may be repeated, and takes it back")
    func health() async throws {
        guard let scene = try await Scene() else { return }
        let first = try await scene.origin("one")
        let second = try await scene.origin("two", number: 3)
        _ = try await scene.contract([first.target, second.target])
        try scene.startGateway()
        func bodies(_ count: Int) async -> [String] {
            var list: [String] = []
            for _ in 0..<count { list.append(await scene.page()?.body ?? "none") }
            return list
        }
        try await eventually(within: 20, "both serve") { Set(await bodies(4)) == ["one", "two"] }
        try await first.end()
        let during = await bodies(20)
        #expect(during == Array(repeating: "two", count: 20), "\(during)")
        try await eventually("status says which backend is silent") {
            await scene.condition("Deployed")?.message.contains("b1 \(first.target): it cannot be reached") == true
        }
        #expect(await scene.condition("Deployed")?.status == "True")
        try await first.begin()
        try await eventually(within: 20, "it is taken back") { Set(await bodies(4)) == ["one", "two"] }
    }

    @Test("passes TLS through to a workload that proves itself over TLS, whatever its certificate says")
    func tls() async throws {
        guard let scene = try await Scene() else { return }
        try OverlayNetwork.shell(
            """
            cd '\(scene.deployment.folder.path)'
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.crt -days 2 \
                -subj /CN=\(scene.host) -addext subjectAltName=DNS:\(scene.host)
            cat tls.key tls.crt > tls.pem
            """
        )
        let origin = try await scene.origin("safe", .missing, certificate: "tls.pem")
        let expose = "{ id: safe, kind: tls, hosts: [\(scene.host)], backends: [b1] }"
        _ = try await scene.contract([origin.target], expose: expose)
        try scene.startGateway()
        try await eventually(within: 20, "the proof over TLS is missing") {
            await scene.condition("Proven")?.message.contains("status 404") == true
        }
        let visit = """
            curl -sS --max-time 5 --cacert '\(scene.deployment.folder.path)/tls.crt' \
                --resolve \(scene.host):\(scene.gateway.https):\(scene.gateway.address) \
                https://\(scene.host):\(scene.gateway.https)/ | grep -qx safe
            """
        #expect(throws: NeverHappened.self) { try OverlayNetwork.shell(visit) }
        try origin.set(.right)
        try await eventually(within: 20, "the workload's own page arrives") {
            (try? OverlayNetwork.shell(visit)) != nil
        }
    }

    @Test(
        "a contract file with any other address is refused with its line, before anything is signed",
        arguments: [
            "[::1]:80", "[fe80::1]:80", "[fd00::1]:80", "[::ffff:10.0.0.1]:80", "[2001:db8::1]:80", "127.0.0.1:80",
            "169.254.169.254:80", "workload.example:80", "[0200::1]:80", "[200::1]",
        ]
    )
    func refusedAddresses(address: String) async throws {
        let folder = try TemporaryFolder()
        try Data(
            """
            gateways: ["north/gw1"]
            conn: overlay
            backends: [ { id: b1, address: "\(address)" } ]
            expose: [ { id: web, kind: http, tls: none, hosts: [shop.gw.example.org] } ]
            limits: { conns: 10, bps: 1Mbit }
            valid: 1d
            """.utf8
        ).write(to: folder.url.appendingPathComponent("contract.yaml"))
        let result = try await GWNode.run(
            ["contract", "create", "contract.yaml", "--ledger", "http://127.0.0.1:1", "--ledger-id"]
                + [String(repeating: "0", count: 64), "--key", "none.key"],
            in: folder
        )
        #expect(result.status == 78)
        #expect(
            result.errors.contains("contract.yaml:3: `backends[0].address` must be an address of the Planetary network")
        )
    }
}
