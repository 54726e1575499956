import Foundation
import TestSupport
import Testing

@Suite("why, and an audit that goes on")
struct WhyCommandTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func why(_ arguments: String...) async throws -> GWNode.Result {
        let pack = VectorFiles.fixture("packs/user").path
        let id = "3ea5e3b66cf31851b22326905b4a013e57e2627d4a3dcb4b37459b293db3434b"
        return try await GWNode.run(["why"] + arguments + ["--ledger", pack, "--ledger-id", id], in: folder)
    }

    @Test("answers from the verified state at any height, with the entries it rests on")
    func heights() async throws {
        let served = try await why("shop.gw.example.org", "--height", "13", "--json")
        #expect(served.status == 0 && served.json?["verdict"] as? String == "served", "\(served)")
        let entries = try #require(served.json?["entries"] as? [[String: Any]])
        #expect(entries.contains { $0["type"] as? String == "contract.create" }, "\(served)")
        #expect(entries.allSatisfy { ($0["signers"] as? [String])?.isEmpty == false })
        let cancelled = try await why("shop.gw.example.org", "--json")
        #expect(cancelled.status == 1 && cancelled.json?["reason"] as? String == "CanceledByUser", "\(cancelled)")
        let expired = try await why("tcp:6390")
        #expect(expired.status == 1 && expired.output.contains("Expired"), "\(expired)")
        #expect(try await why("nothing.gw.example.org").status == 1)
        #expect(try await why("tcp:6390", "--height", "5000").status == 2)
        #expect(try await why("no host").status == 2)
        #expect(try await why("tcp:1", "--from", "x").status == 2)
    }

    @Test("replay keeps its place in a file of its own, and says so when the file is damaged")
    func resume() async throws {
        let ledger = try await TrialLedger(in: folder)
        let replay = ["audit", "replay", ledger.url, "--ledger-id", ledger.id, "--dev", "--state", "place", "--json"]
        let first = try await GWNode.run(replay, in: folder)
        #expect(first.status == 0, "\(first)")
        try await ledger.join("alice")
        let second = try await GWNode.run(replay, in: folder)
        let fresh = try await GWNode.run(Array(replay.prefix(6)) + ["--json"], in: folder)
        #expect(second.status == 0 && second.output == fresh.output, "\(second) \(fresh)")
        try folder.write("place", "not a database, but as long as one might be")
        let damaged = try await GWNode.run(replay, in: folder)
        #expect(damaged.status == 78 && damaged.errors.contains("move it away"), "\(damaged)")
        let pack = VectorFiles.fixture("packs/user").path
        let usage = try await GWNode.run(
            ["audit", "replay", pack, "--ledger-id", ledger.id, "--state", "place"],
            in: folder
        )
        #expect(usage.status == 2, "\(usage)")
    }

    @Test("setup takes several mirrors, and the commands go to the one that answers")
    func mirrors() async throws {
        let ledger = try await TrialLedger(in: folder)
        _ = try await GWNode.run(["keys", "new", "me.key"], in: folder)
        let setup = try await GWNode.run(
            [
                "setup", "--ledger", ledger.url, "--ledger", "http://127.0.0.1:9", "--ledger-id", ledger.id, "--dev",
                "--key", "me.key", "--create-twin", "--profile", "trial", "--json", "--log-level", "critical",
            ],
            in: folder
        )
        #expect(setup.status == 0 && (setup.json?["twin"] as? String)?.count == 64, "\(setup)")
        let path = try #require(setup.json?["profile"] as? String)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.contains(ledger.url) && text.contains("http://127.0.0.1:9") && text.contains(ledger.id))
        let name = try await GWNode.run(
            ["name", "reserve", "shop", "--profile", "trial", "--log-level", "critical"],
            in: folder
        )
        #expect(name.status == 0, "\(name)")
        let why = try await GWNode.run(["why", "shop.example.org", "--profile", "trial"], in: folder)
        #expect(why.status == 1 && why.output.contains("NoContract"), "\(why)")
    }
}
