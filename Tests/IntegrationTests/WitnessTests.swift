import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("A ledger with four witnesses, each a process of its own")
struct WitnessedLedger {
    /// A page behind a gateway and an agent, none of which say `--dev`.
    private final class Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let origin: Origin
        let gatewayProcess: NodeProcess
        let agent: NodeProcess
        let host = "shop.gw.test.example"

        init() async throws {
            deployment = try await Deployment(witnesses: 4)
            gateway = try await deployment.furnish(reserving: "shop")
            origin = try await Origin.start(.http(text: "a vouched page"))
            let contract = try await deployment.makeContract(
                "user",
                gateways: [gateway],
                expose: ["{ id: web, kind: http, tls: none, hosts: [\(host)], backends: [b1] }"],
                names: ["shop"]
            )
            gatewayProcess = try deployment.start(gateway)
            agent = try deployment.startAgent(contract: contract, forwards: ["web=\(origin.target)"])
            try await eventually(within: 40, "the page is served") { await page()?.status == 200 }
        }

        /// Entries of the published log.
        func size() async -> Int? {
            guard let client = try? TwinMaker(deployment).client, let note = try? await client.checkpoint() else {
                return nil
            }
            return (try? Checkpoint(parsing: note)).map { Int($0.size) }
        }

        func page() async -> (status: Int, body: String)? {
            await fetch("/", host: host, at: gateway.address, gateway.http)
        }
    }

    @Test("serves a page, goes on without one witness, publishes nothing without two, and recovers by itself")
    func losesWitnesses() async throws {
        let scene = try await Scene()
        let deployment = scene.deployment
        #expect(await scene.page()?.body == "a vouched page")

        try await deployment.kill("w1")
        try await deployment.makeTwin("second")

        try await deployment.kill("w2")
        let maker = try TwinMaker(deployment)
        let before = try #require(try await maker.client.checkpoint())
        let envelope = try maker.envelope()
        let answer = try await maker.client.submit(envelope, isAsynchronous: true)
        guard case .pending = answer else {
            Issue.record("answered \(answer)")
            return
        }
        try await eventually(within: 20, "the ledger says what it lacks") {
            deployment.ledger?.errors.contains("until enough witnesses cosign") == true
        }
        let during = try #require(try await maker.client.checkpoint())
        #expect(try Checkpoint(parsing: during).size == Checkpoint(parsing: before).size)
        #expect(await scene.page()?.status == 200)

        try await deployment.start("w1")
        try await eventually(within: 40, "the entry is published") {
            try await maker.client.transaction(envelope.id).state == .included
        }
        try await deployment.start("w2")
        try await deployment.makeTwin("third")
    }

    @Test("root, ledger and witness keys change while a gateway follows without a gap")
    func rotates() async throws {
        let scene = try await Scene()
        let deployment = scene.deployment
        func rotate(_ arguments: [String], root: String) async throws {
            let made = try await deployment.run(
                ["ledger", "rotate"] + arguments + ["--root-key", root]
                    + deployment.ledgerFlags(state: "state-operator")
            ).json()
            #expect(made["code"] as? String == "ok")
        }
        /// The gateway serves the page, follows the ledger and does what it says now.
        func follows(_ name: String) async throws {
            try await deployment.makeTwin(name)
            let size = try #require(await scene.size())
            try await eventually(within: 20, "the gateway has seen the newest entry") {
                let status = try await deployment.status(of: scene.gateway)
                let ledger = status["ledger"] as? [String: Any]
                return (ledger?["size"] as? Int ?? 0) >= size && ledger?["condition"] as? String == "normal"
            }
            #expect(await scene.page()?.status == 200)
        }
        try await deployment.run(["keys", "new", "root-2.key"])
        try await rotate(["root", "--new-key", "root-2.key"], root: "ledger/root.key")
        try await follows("second")
        // The old root key decides nothing any more.
        try await deployment.run(
            ["ledger", "rotate", "keys", "ledger", "--root-key", "ledger/root.key"]
                + deployment.ledgerFlags(state: "state-operator"),
            status: 1
        )
        try await rotate(["keys", "ledger"], root: "root-2.key")
        try await follows("third")

        try await deployment.addWitness("w5")
        try await deployment.start("w5")
        let members = ["w1", "w2", "w3", "w5"].compactMap { deployment.witnesses[$0] }
        try await rotate(
            ["policy", "ledger"] + members.flatMap { ["--witness", "\($0.key)@\($0.url)"] },
            root: "root-2.key"
        )
        try await deployment.kill("w4")
        try await follows("fourth")
        // A restart keeps what is honoured.
        try await deployment.ledger?.killHard()
        try await deployment.startLedger()
        try await follows("fifth")
        let replay = try await deployment.run([
            "audit", "replay", deployment.ledgerURL, "--ledger-id", deployment.ledgerID, "--json",
        ]).json()
        #expect(replay["error"] == nil)
    }

    @Test("a witness refuses a checkpoint of another history that the ledger's own key signed, and keeps the proof")
    func refusesFork() async throws {
        let deployment = try await Deployment(witnesses: 3)
        try await deployment.makeTwin("user")
        let maker = try TwinMaker(deployment)
        let honest = try Checkpoint(parsing: #require(try await maker.client.checkpoint()))
        let seed = try String(
            contentsOf: deployment.folder.appendingPathComponent("ledger/ledger.key"),
            encoding: .utf8
        )
        let key = try SigningKey(seed: #require(Hex.decode(String(seed.prefix(64)))))
        let text = Checkpoint.text(origin: honest.origin, size: honest.size, root: .sha256(Array("other".utf8)))
        let verifierKey = VerifierKey(name: honest.origin, type: VerifierKey.noteType, key: key.publicKey)
        let forked = try #require(Checkpoint(note: SignedNote.signed(text: text, by: [(key, verifierKey)])))
        let witness = try #require(deployment.witnesses["w1"])
        try await eventually(within: 20, "the witness stands by the newest checkpoint") {
            // It may have been the one that was not needed: then the other history is the first it hears of.
            try await deployment.makeTwin("user-\(UUID().uuidString.prefix(8))")
            let path = "/\(Digest.sha256(Array(honest.origin.utf8)).hex)/checkpoint"
            let note = try await post(witness, "GET", path, []).body
            return (try? Checkpoint(parsing: note).size) ?? 0 >= honest.size
        }
        let request = AddCheckpointRequest(oldSize: honest.size, proof: [], checkpoint: forked)
        let answer = try await post(witness, "POST", "/add-checkpoint", request.bytes)
        #expect(answer.status == 409)

        let evidence = ForkEvidence(a: honest, b: forked, prefixRoot: forked.root, proof: [])
        let kept = try await post(witness, "POST", "/evidence", evidence.bytes)
        #expect(kept.status == 200, "\(String(decoding: kept.body, as: UTF8.self))")
        let none = ForkEvidence(a: honest, b: honest, prefixRoot: honest.root, proof: [])
        #expect(try await post(witness, "POST", "/evidence", none.bytes).status == 422)
        let tooLarge = Array(repeating: UInt8(ascii: " "), count: ForkEvidence.longest + 1)
        #expect(try await post(witness, "POST", "/evidence", tooLarge).status == 413)
    }

    private func post(
        _ witness: Deployment.Witness,
        _ method: String,
        _ path: String,
        _ body: [UInt8]
    ) async throws -> (status: Int, body: [UInt8]) {
        let address = String(witness.url.dropFirst("http://".count).prefix { $0 != ":" })
        let visitor = try await Visitor(address, witness.port)
        try await visitor.send(
            "\(method) \(path) HTTP/1.1\r\nHost: witness\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
        )
        try await visitor.send(body)
        let answer = try await visitor.readToEnd()
        await visitor.close()
        let text = String(decoding: answer, as: UTF8.self)
        let status = Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0
        let head = text.range(of: "\r\n\r\n").map { text[..<$0.upperBound].utf8.count } ?? answer.count
        return (status, Array(answer[head...]))
    }
}
