import Foundation
import TestSupport
import Testing

@Suite("audit diff and audit evidence")
struct AuditDiffCommandTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// Serves a directory until a person has a twin on it.
    private func join(_ directory: String, _ id: String, _ person: String) async throws {
        let server = try RunningGWNode(
            ["ledger", "serve", directory, "--listen", "127.0.0.1:0", "--dev"],
            in: folder
        )
        let url = try await server.line(beginning: "listening on ")
        _ = try await GWNode.run(["keys", "new", "\(person).key"], in: folder)
        let made = try await GWNode.run(
            [
                "twin", "create", "--ledger", url, "--ledger-id", id, "--dev", "--key", "\(person).key",
                "--state", "\(directory)-\(person).state",
            ],
            in: folder
        )
        #expect(made.status == 0, "\(made)")
        server.signal(SIGTERM)
        _ = await server.finish()
    }

    @Test("two ledgers with one key are told apart, and the proof of the fork verifies offline")
    func forkedLedger() async throws {
        let made = try await GWNode.run(
            ["ledger", "init", "one", "--origin", "test.example.org", "--dev", "--json"],
            in: folder
        )
        let id = try #require(made.json?["ledger_id"] as? String)
        let key = try #require(made.json?["verifier_key"] as? String)
        try await join("one", id, "alice")
        try FileManager.default.copyItem(atPath: folder.path("one"), toPath: folder.path("two"))
        let same = try await GWNode.run(["audit", "diff", "one", "two", "--ledger-id", id, "--dev"], in: folder)
        #expect(same.status == 0 && same.output.hasPrefix("equal: "), "\(same)")

        try await join("two", id, "carol")
        let grown = try await GWNode.run(
            ["audit", "diff", "one", "two", "--ledger-id", id, "--dev", "--json"],
            in: folder
        )
        #expect(grown.status == 0 && grown.json?["relation"] as? String == "prefix", "\(grown)")

        try await join("one", id, "bob")
        let forked = try await GWNode.run(
            ["audit", "diff", "one", "two", "--ledger-id", id, "--dev", "--evidence", "fork.json", "--json"],
            in: folder
        )
        #expect(forked.status == 1 && forked.json?["relation"] as? String == "different", "\(forked)")
        let side = try #require(forked.json?["a"] as? [String: Any])
        let entry = try #require(side["entry"] as? [String: Any])
        #expect(entry["index"] as? Int == forked.json?["first_bad_index"] as? Int)
        #expect(entry["type"] as? String == "twin.create" && entry["code"] as? String == "ok", "\(entry)")

        for source in [["--ledger", "one"], ["--ledger", "two"], ["--keys", key]] {
            let proven = try await GWNode.run(
                ["audit", "evidence", "fork.json", "--ledger-id", id] + source + ["--json"],
                in: folder
            )
            #expect(proven.status == 0 && proven.json?["result"] as? String == "ok", "\(proven)")
            #expect(proven.json?["digest"] as? String == forked.json?["evidence"] as? String)
        }
        let text = try String(contentsOfFile: folder.path("fork.json"), encoding: .utf8)
        try folder.write(
            "forged.json",
            text.replacingOccurrences(of: "\"prefix_root\":\"", with: "\"prefix_root\":\"A")
        )
        let forged = try await GWNode.run(
            ["audit", "evidence", "forged.json", "--ledger-id", id, "--keys", key, "--json"],
            in: folder
        )
        #expect(forged.status == 1 && forged.json?["result"] as? String == "evidence.invalid", "\(forged)")
    }

    @Test("ends with exit status 2 on wrong usage, and 69 when a URL does not answer")
    func usage() async throws {
        let id = String(repeating: "a", count: 64)
        try folder.write("fork.json", "{}")
        for arguments in [
            ["diff", "none", "none", "--ledger-id", id], ["diff", ".", "--ledger-id", id],
            ["diff", ".", ".", "--ledger-id", id, "--quick", "--evidence", "x"],
            ["evidence", "fork.json", "--ledger-id", id], ["evidence", "fork.json", "--keys", "x"],
            ["evidence", "fork.json", "--ledger-id", id, "--keys", "x"],
            ["evidence", "fork.json", "--ledger-id", id, "--ledger", ".", "--submit"],
        ] {
            let result = try await GWNode.run(["audit"] + arguments, in: folder)
            #expect(result.status == 2, "\(arguments): \(result)")
        }
        let away = "http://127.0.0.1:9"
        let unreachable = try await GWNode.run(["audit", "diff", away, away, "--ledger-id", id], in: folder)
        #expect(unreachable.status == 69, "\(unreachable)")
    }
}
