import Foundation
import TestSupport
import Testing

@Suite("audit pack")
struct AuditPackCommandTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test("a pack of a served ledger replays, and no change to its files goes unnoticed")
    func packOfLedger() async throws {
        let ledger = try await TrialLedger(in: folder)
        try await ledger.join("alice")
        _ = try await GWNode.run(["keys", "new", "auditor.key"], in: folder)
        let pin = ["--ledger-id", ledger.id, "--dev"]
        let flags = ["--manifest-key-file", "auditor.key", "--manifest-name", "auditor.example.org"] + pin
        let made = try await GWNode.run(
            ["audit", "pack", ledger.url, "pack", "--ledger-key-file", "ledger/ledger.key", "--json"] + flags,
            in: folder
        )
        #expect(made.status == 0, "\(made)")
        let key = try #require(made.json?["manifest_key"] as? String)
        #expect((made.json?["cases"] as? Int ?? 0) > 50)
        let replay = ["audit", "replay", "pack", "--manifest-key", key, "--each", "--json"] + pin
        let equal = try await GWNode.run(replay, in: folder)
        #expect(equal.status == 0, "\(equal)")

        // The same log and keys give the same pack, from the folder of the ledger too.
        let again = try await GWNode.run(
            ["audit", "pack", "ledger", "again", "--ledger-key-file", "ledger/ledger.key"] + flags,
            in: folder
        )
        #expect(again.status == 0, "\(again)")
        let manifest = try Data(contentsOf: folder.url.appending(path: "pack/MANIFEST"))
        #expect(try Data(contentsOf: folder.url.appending(path: "again/MANIFEST")) == manifest)
        let taken = try await GWNode.run(["audit", "pack", "ledger", "again"] + flags, in: folder)
        #expect(taken.status == 1, "\(taken)")

        for path in ["MANIFEST", "checkpoint", "policy.txt", "state.txt", "expect.json", "attack/index.json"] {
            let url = folder.url.appending(path: "pack/\(path)")
            let good = try Data(contentsOf: url)
            var bad = good
            bad[bad.count / 2] ^= 1
            try bad.write(to: url)
            try await expectDifferent(replay, "\(path) flipped")
            try FileManager.default.removeItem(at: url)
            try await expectDifferent(replay, "\(path) gone")
            try manifest.write(to: url)
            if path != "MANIFEST" { try await expectDifferent(replay, "\(path) exchanged") }
            try good.write(to: url)
        }
        try Data("x".utf8).write(to: folder.url.appending(path: "pack/attack/more"))
        try await expectDifferent(replay, "a file more")
        try FileManager.default.removeItem(at: folder.url.appending(path: "pack/attack/more"))
        #expect(try await GWNode.run(replay, in: folder).status == 0)
    }

    private func expectDifferent(_ arguments: [String], _ what: String) async throws {
        let result = try await GWNode.run(arguments, in: folder)
        #expect(result.status == 1, "\(what): \(result)")
        #expect(result.json?["error"] != nil, "\(what)")
    }
}
