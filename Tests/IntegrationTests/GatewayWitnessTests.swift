import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("A gateway that is a witness of its ledger")
struct GatewayWitness {
    /// A ledger of which a gateway and two processes of their own are the witnesses, all of whom have to cosign.
    private final class Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        /// Where the gateway is asked as a witness.
        let witness: Deployment.Witness
        var process: NodeProcess

        init() async throws {
            deployment = try await Deployment(witnesses: 3)
            try await deployment.makeTwin("farmer")
            gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
            try await deployment.run(["keys", "new", "witness.key"])
            let name = "gw1.test.example"
            let key = try await deployment.run(["witness", "key", "witness.key", "--name", name, "--json"]).json()
            let port = try Loopback.freePort(gateway.address)
            witness = Deployment.Witness(
                name: name,
                key: key["verifier_key"] as? String ?? "",
                port: port,
                url: "http://\(gateway.address):\(port)"
            )
            try deployment.writeConfiguration(
                of: gateway,
                bind: "witness: [\"\(gateway.address):\(port)\"]",
                more: "witness: { name: \(name), key: witness.key }"
            )
            process = try deployment.start(gateway)
            try await becomesMember()
        }

        /// A policy.set that puts the gateway in the place of the third witness.
        private func becomesMember() async throws {
            let members = ["w1", "w2"].compactMap { deployment.witnesses[$0] } + [witness]
            let arguments = members.flatMap { ["--witness", "\($0.key)@\($0.url)"] }
            let rotated = try await deployment.run(
                ["ledger", "rotate", "policy", "ledger"] + arguments + ["--root-key", "ledger/root.key"]
                    + deployment.ledgerFlags(state: "state-operator")
            ).json()
            guard rotated["code"] as? String == "ok" else { throw NeverHappened(description: "\(rotated)") }
        }

        func checkpoint() async throws -> Checkpoint {
            try Checkpoint(parsing: try await TwinMaker(deployment).client.checkpoint() ?? [])
        }

        /// The size that the gateway shows to stand by as a witness, with the names in its signature lines.
        func shown(_ origin: String) async throws -> (size: UInt64, names: [String])? {
            let path = "/\(Digest.sha256(Array(origin.utf8)).hex)/checkpoint"
            let answer = await fetch(path, host: "witness", at: gateway.address, witness.port)
            guard let answer, let note = try? Checkpoint(parsing: Array(answer.body.utf8)) else { return nil }
            return (note.size, note.note.signatures.map(\.name))
        }

        func post(evidence: [UInt8]) async throws -> Int {
            let visitor = try await Visitor(gateway.address, witness.port)
            try await visitor.send(
                "POST /evidence HTTP/1.1\r\nHost: witness\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(evidence.count)\r\nConnection: close\r\n\r\n"
            )
            try await visitor.send(evidence)
            let answer = try await visitor.readToEnd()
            await visitor.close()
            let words = String(decoding: answer.prefix(64), as: UTF8.self).split(separator: " ")
            return words.count > 1 ? Int(words[1]) ?? 0 : 0
        }

        func condition() async throws -> (name: String, halt: String?) {
            let ledger = try await deployment.status(of: gateway)["ledger"] as? [String: Any]
            return (ledger?["condition"] as? String ?? "", ledger?["halt"] as? String)
        }

        /// Another history of the ledger's newest size, signed with the ledger's own key.
        func fork(of honest: Checkpoint) throws -> ForkEvidence {
            let seed = try String(
                contentsOf: deployment.folder.appendingPathComponent("ledger/ledger.key"),
                encoding: .utf8
            )
            let key = try SigningKey(seed: #require(Hex.decode(String(seed.prefix(64)))))
            let vkey = VerifierKey(name: honest.origin, type: VerifierKey.noteType, key: key.publicKey)
            let text = Checkpoint.text(origin: honest.origin, size: honest.size, root: .sha256(Array("other".utf8)))
            let other = try #require(Checkpoint(note: SignedNote.signed(text: text, by: [(key, vkey)])))
            return ForkEvidence(a: honest, b: other, prefixRoot: other.root, proof: [])
        }
    }

    @Test("cosigns, refuses junk for evidence, halts at a proof that it is brought, and says so")
    func cosignsAndHalts() async throws {
        let scene = try await Scene()
        // Two of three are the quorum: with one gone, the gateway's cosignature is needed.
        try await scene.deployment.kill("w1")
        try await scene.deployment.makeTwin("user")
        let honest = try await scene.checkpoint()
        let lines = honest.note.signatures.map(\.name)
        #expect(lines.contains(scene.witness.name), "\(lines)")
        try await eventually(within: 20, "the gateway shows what it cosigned") {
            guard let shown = try await scene.shown(honest.origin) else { return false }
            return shown.size >= honest.size && shown.names.contains(scene.witness.name)
        }

        let proof = try scene.fork(of: honest)
        let none = ForkEvidence(a: honest, b: honest, prefixRoot: honest.root, proof: [])
        let stranger = try Checkpoint(
            note: SignedNote.signed(text: proof.b.note.text, by: [Self.stranger(honest.origin)])
        )
        let forged = ForkEvidence(a: honest, b: try #require(stranger), prefixRoot: proof.prefixRoot, proof: [])
        for junk in [none.bytes, forged.bytes, Array("{}".utf8), Array(proof.bytes.dropLast()), [0xFF, 0x00]] {
            #expect(try await scene.post(evidence: junk) == 422)
        }
        #expect(try await scene.condition().name == "normal")

        #expect(try await scene.post(evidence: proof.bytes) == 200)
        try await eventually(within: 20, "the gateway is halted") { try await scene.condition().name == "halted" }
        let halt = try await scene.condition().halt ?? ""
        #expect(halt.contains("signed two histories") && halt.contains("checkpoint.fork"), "\(halt)")
        let text = try await scene.deployment.run(["status", "--config", scene.gateway.configuration]).output
        #expect(text.contains("HALTED"), "\(text)")
        let asked = ["why", "a.gw.test.example", "--config", scene.gateway.configuration]
        let why = try await scene.deployment.run(asked, status: 1)
        #expect(why.output.contains("HALTED: the ledger signed two histories"), "\(why)")
        // A stolen ledger key must not stop the ledger: the history that was cosigned goes on being cosigned.
        try await scene.deployment.makeTwin("second")
    }

    private static func stranger(_ origin: String) throws -> (key: SigningKey, verifierKey: VerifierKey) {
        let key = try SigningKey(seed: [UInt8](repeating: 9, count: 32))
        return (key, VerifierKey(name: origin, type: VerifierKey.noteType, key: key.publicKey))
    }

    @Test("does not begin anew when its memory as a witness is lost and what it verified is not")
    func lostMemory() async throws {
        let scene = try await Scene()
        try await scene.deployment.kill("w1")
        try await scene.deployment.makeTwin("user")
        let honest = try await scene.checkpoint()
        try await eventually(within: 20, "the gateway has verified what it cosigned") {
            let ledger = try await scene.deployment.status(of: scene.gateway)["ledger"] as? [String: Any]
            return (ledger?["size"] as? Int ?? 0) >= Int(honest.size)
        }
        try await scene.process.killHard()
        let state = scene.deployment.folder.appendingPathComponent("state-gw1")
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(at: state.appendingPathComponent("witness.sqlite\(suffix)"))
        }
        scene.process = try scene.deployment.start(scene.gateway)
        try await eventually(within: 20, "it stands by what it verified") {
            try await scene.shown(honest.origin)?.size ?? 0 >= honest.size
        }
        #expect(scene.process.errors.contains("beginning with the checkpoint that this node trusts"))
        // It goes on cosigning from there.
        try await scene.deployment.makeTwin("second")
    }
}
