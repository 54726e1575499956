import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("A paranoid gateway verifies the history behind its snapshot", .serialized)
struct Histories {
    /// A ledger of some bundles, a snapshot of all of it, and a server in between that can lie about both.
    private struct Scene {
        let deployment: Deployment
        let auditors: Auditors
        let gateway: Deployment.Gateway
        let size: UInt64
        /// A twin that does nothing after the snapshot.
        let idle: Identifier
        /// What the server between answers instead of the ledger.
        let instead = NIOLockedValueBox<@Sendable (LyingServer.Request) -> LyingServer.Reply?>({ _ in nil })

        init() async throws {
            deployment = try await Deployment(address: "127.0.0.1")
            try await deployment.makeTwin("farmer")
            gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
            let maker = try TwinMaker(deployment)
            defer { maker.client.shutdown() }
            let twin = try #require(try await maker.append())
            idle = try Envelope(leaf: twin.leaf).id
            try await maker.append(700)
            auditors = try await Auditors(deployment, names: ["ann"], quorum: 1)
            size = try await auditors.offeredSize()
            #expect(size > 700)
        }

        var answer: LyingServer.Answer {
            { [instead, port = Int(deployment.ledgerPort)] request in
                if let reply = instead.withLockedValue({ $0 })(request) { return reply }
                guard let truth = await LyingServer.forward(request, to: port) else { return .close }
                return truth.reply
            }
        }

        /// The gateway, which knows the ledger by the server between only.
        func start(_ server: LyingServer, settings: String, _ flags: [String] = []) throws -> NodeProcess {
            try deployment.writeConfiguration(of: gateway, ledger: server.url, ledgerSettings: settings)
            let command = ["run", "--config", gateway.configuration] + flags
            return try NodeProcess(gateway.name, command, in: deployment.folder)
        }

        func ledgerStatus() async throws -> [String: Any] {
            try await deployment.status(of: gateway)["ledger"] as? [String: Any] ?? [:]
        }

        /// Waits for a member of the ledger's part of `status`.
        func awaitStatus(_ what: String, _ process: NodeProcess, _ holds: ([String: Any]) -> Bool) async throws {
            try await eventually(within: 60, "\(what); \(process.errors)") {
                guard let status = try? await ledgerStatus() else { return false }
                return holds(status)
            }
        }

        func bundles(_ server: LyingServer) -> [String] {
            server.requests.map(\.path).filter { $0.hasPrefix("/tile/entries/") }
        }
    }

    private static func history(_ status: [String: Any]) -> (state: String, verified: UInt64, entries: UInt64)? {
        guard let history = status["history"] as? [String: Any], let state = history["state"] as? String,
            let verified = history["verified"] as? Int, let entries = history["entries"] as? Int
        else { return nil }
        return (state, UInt64(verified), UInt64(entries))
    }

    @Test("a killed gateway goes on where it was saved, and ends with the history verified for good")
    func honest() async throws {
        let scene = try await Scene()
        try await scene.auditors.attest("ann")
        try await LyingServer.serving(scene.answer) { server in
            // Without the flag the snapshot is believed.
            let trusting = try scene.start(server, settings: "snapshot: true")
            try await scene.awaitStatus("attested", trusting) { Self.history($0)?.state == "attested" }
            #expect(!scene.bundles(server).contains("/tile/entries/001"))
            let text = try await scene.deployment.run(["status", "--config", scene.gateway.configuration]).output
            #expect(text.contains("started from a snapshot of \(scene.size) entries"))
            trusting.send(SIGTERM)
            _ = try await trusting.finish()

            // The second bundle is not to be had: what was verified before is saved, and survives a kill.
            scene.instead.withLockedValue {
                $0 = { $0.path == "/tile/entries/001" ? .respond(503) : nil }
            }
            let stalled = try scene.start(server, settings: "snapshot: true", ["--paranoid"])
            try await scene.awaitStatus("one bundle verified", stalled) {
                guard let history = Self.history($0) else { return false }
                return history.state == "verifying" && history.verified == 256 && history.entries == scene.size
            }
            try await eventually(within: 30, "the second bundle was asked for twice") {
                scene.bundles(server).count { $0 == "/tile/entries/001" } > 2
            }
            try await stalled.killHard()

            scene.instead.withLockedValue { $0 = { _ in nil } }
            let before = scene.bundles(server).count { $0 == "/tile/entries/000" }
            let resumed = try scene.start(server, settings: "snapshot: true, paranoid: true")
            try await scene.awaitStatus("verified", resumed) {
                guard let history = Self.history($0) else { return false }
                return history.state == "verified" && history.verified == scene.size && $0["halt"] == nil
            }
            #expect(scene.bundles(server).count { $0 == "/tile/entries/000" } == before)
            resumed.send(SIGTERM)
            _ = try await resumed.finish()

            // It is verified once, and what was saved is gone.
            let again = try scene.start(server, settings: "snapshot: true, paranoid: true")
            try await scene.awaitStatus("still verified", again) { Self.history($0)?.state == "verified" }
            #expect(scene.bundles(server).count { $0 == "/tile/entries/000" } == before)
            let saved = scene.deployment.folder.appendingPathComponent("state-gw1/history.sqlite").path
            #expect(!FileManager.default.fileExists(atPath: saved))
            again.send(SIGTERM)
            _ = try await again.finish()
        }
    }

    @Test("a snapshot that colluding auditors signed halts the gateway with evidence; resolve replays and lifts it")
    func poisoned() async throws {
        let scene = try await Scene()
        let deployment = scene.deployment
        let poison = try PoisonedSnapshot(
            folder: deployment.folder.appendingPathComponent("ledger/snapshots/\(scene.size)"),
            victim: scene.idle,
            signedBy: scene.auditors.members[0]
        )
        scene.instead.withLockedValue { $0 = { poison.answer($0.path) } }
        try await LyingServer.serving(scene.answer) { server in
            let gateway = try scene.start(server, settings: "snapshot: true, paranoid: true")
            try await scene.awaitStatus("halted", gateway) { $0["condition"] as? String == "halted" }
            let halt = try await scene.ledgerStatus()["halt"] as? String ?? ""
            #expect(halt.contains("state.divergence") && halt.contains("state root"), "\(halt)")
            #expect(gateway.errors.contains("started from an attested snapshot"))
            let state = deployment.folder.appendingPathComponent("state-gw1")
            let names = try FileManager.default.contentsOfDirectory(atPath: state.path)
            let name = try #require(names.first { $0.hasPrefix("divergence-") })
            let evidence = try JSONSerialization.jsonObject(
                with: Data(contentsOf: state.appendingPathComponent(name))
            )
            let note = (evidence as? [String: Any])?["note"] as? String ?? ""
            #expect(Array(note.utf8) == poison.manifest)
            gateway.send(SIGTERM)
            _ = try await gateway.finish()

            // A restart stays halted.
            let again = try scene.start(server, settings: "snapshot: true, paranoid: true")
            try await scene.awaitStatus("still halted", again) { $0["condition"] as? String == "halted" }
            again.send(SIGTERM)
            _ = try await again.finish()

            let checkpoint = try await scene.auditors.get("/checkpoint").body
            try checkpoint.write(to: deployment.folder.appendingPathComponent("true.checkpoint"))
            var flags = deployment.ledgerFlags(state: "state-gw1")
            flags[1] = server.url
            let resolved = try await deployment.run(
                ["ledger", "resolve", "--checkpoint", "true.checkpoint"] + flags
            ).json()
            #expect(resolved["branch"] as? String == "replaced")
            let lifted = try scene.start(server, settings: "snapshot: true, paranoid: true")
            try await scene.awaitStatus("followed again, by replay", lifted) {
                $0["condition"] as? String == "normal" && $0["history"] == nil
            }
            lifted.send(SIGTERM)
            _ = try await lifted.finish()
        }
    }
}

/// The snapshot of a ledger with one row changed, and everything above that row made to fit, down to an auditor's signature.
private struct PoisonedSnapshot: Sendable {
    let size: UInt64
    let manifest: [UInt8]
    private let folder: URL
    private let number: Int
    private let chunk: [UInt8]
    private let proof: [UInt8]

    /// - Parameter victim: a twin that gets another owner.
    init(folder: URL, victim: Identifier, signedBy auditor: Auditors.Member) throws {
        func file(_ name: String) throws -> [UInt8] {
            [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
        }
        var note = try #require(StateNote(text: try file("state")))
        var roots: [Digest] = []
        var poisoned: StateChunk?
        let key = Array("twin/\(victim.hex)".utf8)
        let thief = try TwinMaker.freshKey().publicKey.hex
        for number in 0..<StateChunk.count {
            let honest = try StateChunk(parsing: try file(Hex.encode([UInt8(number)])), number: number)
            var rows = honest.rows
            if let place = rows.firstIndex(where: { $0.key == key }) {
                let text = String(decoding: rows[place].value, as: UTF8.self)
                let owner = try #require(text.firstMatch(of: /"keys":\["([0-9a-f]{64})"\]/))
                rows[place].value = Array(text.replacing(owner.1, with: thief).utf8)
                poisoned = StateChunk(number: number, rows: rows)
            }
            roots.append(poisoned?.number == number ? poisoned!.root : honest.root)
        }
        let chunk = try #require(poisoned)
        note.stateRoot = StateChunk.stateRoot(roots)
        var proof: [UInt8] = []
        for root in roots { root.append(to: &proof) }
        proof += try file("proof").dropFirst(proof.count)
        self.folder = folder
        size = note.size
        manifest = note.signed(by: auditor.noteKey, as: auditor.auditor.key)
        number = chunk.number
        self.chunk = chunk.bytes
        self.proof = proof
    }

    /// The lie about a path; nil for the truth. The other chunks are asked for before the ledger has a manifest, so they
    /// are told from the disk as well.
    func answer(_ path: String) -> LyingServer.Reply? {
        switch path {
        case "/snapshot/sizes": return .respond(200, body: Array("\(size) attested\n".utf8))
        case "/snapshot/\(size)/manifest": return .respond(200, body: manifest)
        case "/snapshot/\(size)/proof": return .respond(200, body: proof)
        case "/snapshot/\(size)/\(Hex.encode([UInt8(number)]))": return .respond(200, body: chunk)
        case let other where other.hasPrefix("/snapshot/\(size)/"):
            let honest = try? Data(contentsOf: folder.appendingPathComponent(String(other.suffix(2))))
            return honest.map { .respond(200, body: [UInt8]($0)) }
        default: return nil
        }
    }
}
