import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

/// What the server between a gateway and its ledger does to an answer of the ledger.
struct LedgerLie: Sendable, CustomTestStringConvertible {
    var name: String
    /// The code that the gateway logs.
    var code: String
    var isHalt = false
    /// The gateway may go on once the lie is over, and has to.
    var pervert: @Sendable (Answer) throws -> [UInt8]?

    var testDescription: String { name }

    /// An answer of the real ledger, and what the liar knows besides.
    struct Answer: Sendable {
        var path: String
        var body: [UInt8]
        /// The first checkpoint that was carried over.
        var earliest: [UInt8]
        /// The newest checkpoint that the gateway took honestly.
        var trusted: [UInt8]
        var ledgerKey: SigningKey

        var isCheckpoint: Bool { path == "/checkpoint" }
        var isBundle: Bool { path.hasPrefix("/tile/entries/") }
    }

    static func checkpoint(
        _ name: String,
        _ code: String,
        isHalt: Bool = false,
        _ change: @escaping @Sendable (Answer) throws -> [UInt8]
    ) -> LedgerLie {
        LedgerLie(name: name, code: code, isHalt: isHalt) { $0.isCheckpoint ? try change($0) : nil }
    }

    static func bundle(_ name: String, _ change: @escaping @Sendable ([[UInt8]]) -> [[UInt8]]) -> LedgerLie {
        LedgerLie(name: name, code: "entries.mismatch") { answer in
            guard answer.isBundle, let leaves = EntryBundle.decode(answer.body) else { return nil }
            return EntryBundle.encode(change(leaves))
        }
    }
}

@Suite("Nothing is served without a contract on a proven log, tried on real processes", .serialized)
struct Refusals {
    static let lies: [LedgerLie] = [
        .bundle("an entry altered by the ledger") { leaves in
            var leaves = leaves
            leaves[leaves.count - 1][100] ^= 1
            return leaves
        },
        .bundle("entries reordered") { leaves in
            var leaves = leaves
            leaves.swapAt(leaves.count - 1, leaves.count - 2)
            return leaves
        },
        .bundle("the log truncated") { Array($0.dropLast()) },
        .checkpoint("a forged ledger signature", "checkpoint.signature") { answer in
            var note = answer.body
            note[note.count - 10] = note[note.count - 10] == 0x41 ? 0x42 : 0x41
            return note
        },
        .checkpoint("a checkpoint rolled back", "checkpoint.stale") { $0.earliest },
        .checkpoint("no note at all", "note.malformed") { _ in Array("<html>maintenance</html>\n".utf8) },
        .checkpoint("another root for the trusted size, signed with the ledger's key", "checkpoint.fork", isHalt: true)
        {
            answer in
            let trusted = try Checkpoint(parsing: answer.trusted)
            let text = Checkpoint.text(origin: trusted.origin, size: trusted.size, root: .sha256([1]))
            let verifierKey = VerifierKey(name: trusted.origin, type: 1, key: answer.ledgerKey.publicKey)
            return SignedNote.signed(text: text, by: [(answer.ledgerKey, verifierKey)]).bytes
        },
    ]

    @Test("a gateway behind a lying ledger serves on, takes nothing of the lie, and names it", arguments: lies)
    func lyingLedger(lie: LedgerLie) async throws {
        let memory = NIOLockedValueBox(Memory())
        let liar: LyingServer.Answer = { await Self.answer($0, memory) }
        try await LyingServer.serving(liar) { server in
            let url = server.url
            let scene = try await EndToEnd.Scene { deployment in
                memory.withLockedValue {
                    $0.port = Int(deployment.ledgerPort)
                    let seed = try? String(
                        contentsOf: deployment.folder.appendingPathComponent("ledger/ledger.key"),
                        encoding: .utf8
                    )
                    $0.ledgerKey = Hex.decode(seed?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "")
                        .flatMap { try? SigningKey(seed: $0) }
                }
                return url
            }
            // The gateway reports what it serves, so the log grows beyond the first checkpoint that it took.
            try await eventually(within: 30, "the gateway trusts a later checkpoint") {
                memory.withLockedValue { $0.trusted != $0.earliest }
            }
            memory.withLockedValue { $0.lie = lie }
            try await scene.deployment.act("user", ["name", "reserve", "new"])
            let contract = try await scene.deployment.makeContract(
                "user",
                gateways: [scene.gateway],
                expose: ["{ id: web, kind: http, tls: none, hosts: [new.gw.test.example], backends: [b1] }"],
                names: ["new"]
            )
            try await eventually(within: 20, "the gateway names \(lie.code)") {
                scene.gatewayProcess.errors.contains(lie.code)
            }
            #expect(await newHost(scene) == 404, "the new contract is served on the word of a liar")
            #expect(await scene.page()?.status == 200, "what was proven before is not served any more")

            memory.withLockedValue { $0.lie = nil }
            if lie.isHalt {
                let status = try await scene.deployment.status(of: scene.gateway)
                let ledger = try #require(status["ledger"] as? [String: Any])
                #expect("\(ledger["condition"] ?? "")".contains("halted"))
                #expect(await newHost(scene) == 404)
            } else {
                try await eventually(within: 70, "the gateway follows the honest ledger again") {
                    await newHost(scene) == 503
                }
            }
            #expect(!contract.isEmpty)
        }
    }

    @Test("an agent whose key no contract names is refused with key.not_backend")
    func unknownAgent() async throws {
        let scene = try await EndToEnd.Scene()
        try await scene.deployment.run(["keys", "new", "stranger.key"])
        let agent = try scene.deployment.startAgent(
            "stranger",
            contract: scene.contract,
            forwards: ["web=\(scene.origin.target)"]
        )
        let finished = try await agent.finish()
        #expect(finished.status == 1)
        #expect((finished.output + finished.errors).contains("key.not_backend"))
        #expect(await scene.page()?.status == 200)
    }

    @Test("a contract that names another node is not served, and an expired one no longer")
    func otherNodeAndExpiry() async throws {
        let scene = try await EndToEnd.Scene()
        let other = try await scene.deployment.makeGateway("gw2", farmer: "farmer", domain: "gw.test.example")
        try await scene.deployment.act("user", ["name", "reserve", "else"])
        _ = try await scene.deployment.makeContract(
            "user",
            gateways: [other],
            expose: ["{ id: web, kind: http, tls: none, hosts: [else.gw.test.example], backends: [b1] }"],
            names: ["else"]
        )
        try await scene.deployment.act("user", ["name", "reserve", "brief"])
        let brief = scene.deployment.contractText(
            gateways: [scene.gateway],
            expose: ["{ id: web, kind: http, tls: none, hosts: [brief.gw.test.example], backends: [b1] }"],
            names: ["brief"]
        ).replacing("valid: 30d", with: "not_after: \(Date(timeIntervalSinceNow: 20).ISO8601Format())")
        try scene.deployment.write("brief.yaml", brief)
        try await scene.deployment.act("user", ["contract", "create", "brief.yaml"])
        try await eventually(within: 10, "the brief contract is known") {
            await status("brief.gw.test.example", scene) == 503
        }
        #expect(await status("else.gw.test.example", scene) == 404)
        try await eventually(within: 30, "the brief contract has expired") {
            await status("brief.gw.test.example", scene) == 404
        }
        #expect(await scene.page()?.status == 200)
    }

    @Test("the ledger refuses an entry with a forged signature, by its code")
    func forgedEntry() async throws {
        let deployment = try await Deployment()
        let maker = try TwinMaker(deployment)
        var envelope = try maker.envelope()
        let stranger = try TwinMaker.freshKey()
        let forged = stranger.signature(for: [1, 2, 3])
        envelope = Envelope(
            payload: envelope.payload,
            payloadType: Envelope.entryType,
            signatures: [(keyID: envelope.signatures[0].keyID, signature: forged)]
        )
        guard case .refused(let code, let message, _) = try await maker.client.submit(envelope) else {
            Issue.record("the ledger took a forged entry")
            return
        }
        #expect(code == "signature.invalid")
        #expect(!message.isEmpty)
    }

    // MARK: The liar

    private struct Memory {
        var port = 0
        var ledgerKey: SigningKey?
        var lie: LedgerLie?
        var earliest: [UInt8] = []
        var trusted: [UInt8] = []
    }

    private static func answer(
        _ request: LyingServer.Request,
        _ memory: NIOLockedValueBox<Memory>
    ) async -> LyingServer.Reply {
        let before = memory.withLockedValue { $0 }
        guard before.port != 0, var upstream = await LyingServer.forward(request, to: before.port) else {
            return .close
        }
        let now = memory.withLockedValue { memory in
            if upstream.status == 200, request.path == "/checkpoint", memory.lie == nil {
                if memory.earliest.isEmpty { memory.earliest = upstream.body }
                memory.trusted = upstream.body
            }
            return memory
        }
        guard let lie = now.lie, upstream.status == 200, let key = now.ledgerKey else { return upstream.reply }
        let answer = LedgerLie.Answer(
            path: request.path,
            body: upstream.body,
            earliest: now.earliest,
            trusted: now.trusted,
            ledgerKey: key
        )
        if let body = try? lie.pervert(answer) { upstream.body = body }
        return upstream.reply
    }

    private func newHost(_ scene: EndToEnd.Scene) async -> Int? { await status("new.gw.test.example", scene) }

    private func status(_ host: String, _ scene: EndToEnd.Scene) async -> Int? {
        await fetch("/", host: host, at: scene.gateway.address, scene.gateway.http)?.status
    }
}
