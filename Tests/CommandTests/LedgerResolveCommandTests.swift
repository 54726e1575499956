import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("gw-node ledger resolve")
struct LedgerResolveCommandTests {
    let folder: TemporaryFolder
    let ledger: TrialLedger

    init() async throws {
        folder = try TemporaryFolder()
        ledger = try await TrialLedger(in: folder)
        try await ledger.join("user")
    }

    private var port: Int { Int(ledger.url.split(separator: ":").last ?? "") ?? 0 }

    /// Another root for a checkpoint's size, signed with the ledger's own key.
    private func forked(_ note: [UInt8]) throws -> [UInt8] {
        let seed = try String(contentsOfFile: folder.path("ledger/ledger.key"), encoding: .utf8).trimmingCharacters(
            in: .whitespacesAndNewlines
        )
        let key = try SigningKey(seed: try #require(Hex.decode(seed)))
        let checkpoint = try Checkpoint(parsing: note)
        let text = Checkpoint.text(origin: checkpoint.origin, size: checkpoint.size, root: .sha256([1]))
        let vkey = VerifierKey(name: checkpoint.origin, type: VerifierKey.noteType, key: key.publicKey)
        return SignedNote.signed(text: text, by: [(key, vkey)]).bytes
    }

    private func resolve(_ checkpoint: String) async throws -> GWNode.Result {
        try await GWNode.run(
            ["ledger", "resolve", "--checkpoint", checkpoint, "--state", "user.state", "--json"] + ledger.flags,
            in: folder
        )
    }

    @Test("a copy that saw a fork follows the ledger again after its operator named the true branch")
    func resolves() async throws {
        let client = try LedgerClient(urls: [ledger.url])
        defer { client.shutdown() }
        let truth = try #require(try await client.checkpoint())
        let lie = try forked(truth)
        try folder.write("true.checkpoint", String(decoding: truth, as: UTF8.self))
        try folder.write("false.checkpoint", String(decoding: lie, as: UTF8.self))

        let early = try await resolve("true.checkpoint")
        #expect(early.status == 1)
        #expect((early.output + early.errors).contains("resolve.not_halted"))

        let answer: LyingServer.Answer = { request in
            request.path == "/checkpoint" ? .respond(200, body: lie) : .respond(404)
        }
        try await LyingServer.serving(answer) { liar in
            let result = try await GWNode.run(
                [
                    "contract", "list", "--ledger", liar.url, "--ledger-id", ledger.id, "--dev", "--state",
                    "user.state",
                    "--key", "user.key",
                ],
                in: folder
            )
            #expect(result.status == 1)
            #expect((result.output + result.errors).contains("checkpoint.fork"))
        }
        let halted = try await ledger.run("user", "contract", "list")
        #expect(halted.status == 1)
        #expect((halted.output + halted.errors).contains("ledger resolve"))

        let wrong = try await resolve("false.checkpoint")
        #expect(wrong.status == 1, "\(wrong)")
        let missing = try await resolve("no.checkpoint")
        #expect(missing.status == 78)

        let resolved = try await resolve("true.checkpoint")
        #expect(resolved.status == 0, "\(resolved)")
        #expect(resolved.json?["branch"] as? String == "kept")
        #expect(try await ledger.run("user", "name", "reserve", "shop").status == 0)
        let evidence = try FileManager.default.contentsOfDirectory(atPath: folder.path("user.state"))
        #expect(evidence.contains { $0.hasPrefix("fork-") })
    }
}
