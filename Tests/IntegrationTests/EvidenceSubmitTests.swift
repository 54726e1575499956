import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("A proof of a fork, recorded on the ledger")
struct EvidenceSubmit {
    @Test("an auditor records it once; nobody else can, and nothing that is no proof")
    func records() async throws {
        let deployment = try await Deployment()
        _ = try await Auditors(deployment, names: ["eve"], quorum: 1)
        try await deployment.makeTwin("mallory")
        let client = try LedgerClient(urls: [deployment.ledgerURL])
        defer { client.shutdown() }
        let honest = try Checkpoint(parsing: #require(try await client.checkpoint()))
        let seed = try String(
            contentsOf: deployment.folder.appendingPathComponent("ledger/ledger.key"),
            encoding: .utf8
        )
        let key = try SigningKey(seed: #require(Hex.decode(String(seed.prefix(64)))))
        let vkey = VerifierKey(name: honest.origin, type: VerifierKey.noteType, key: key.publicKey)
        let text = Checkpoint.text(origin: honest.origin, size: honest.size, root: .sha256(Array("other".utf8)))
        let other = try #require(Checkpoint(note: SignedNote.signed(text: text, by: [(key, vkey)])))
        let proof = ForkEvidence(a: honest, b: other, prefixRoot: other.root, proof: [])
        let none = ForkEvidence(a: honest, b: honest, prefixRoot: honest.root, proof: [])
        try deployment.write("fork.json", String(decoding: proof.bytes, as: UTF8.self))
        try deployment.write("none.json", String(decoding: none.bytes, as: UTF8.self))

        func evidence(_ file: String, by twin: String, status: Int32) async throws -> [String: Any] {
            try await deployment.act(twin, ["audit", "evidence", file, "--submit"], status: status).json()
        }
        #expect(try await evidence("none.json", by: "eve", status: 1)["result"] as? String == "evidence.invalid")
        #expect(try await evidence("fork.json", by: "mallory", status: 1)["code"] as? String == "auditor.forbidden")
        let recorded = try await evidence("fork.json", by: "eve", status: 0)
        #expect(recorded["code"] as? String == "ok" && recorded["receipt"] as? String != nil)
        #expect(try await evidence("fork.json", by: "eve", status: 1)["code"] as? String == "evidence.duplicate")

        // The entry says what the file says, and an auditor who replays the log finds its row.
        let index = try #require(recorded["index"] as? Int)
        let bundle = try await client.bundle(index: 0, width: index + 1)
        let leaf = try #require(EntryBundle.decode(bundle)?.last)
        guard case .entry(let entry) = ParsedEntry(leaf: leaf), case .evidenceFork(let body) = entry.body else {
            Issue.record("entry \(index) is no evidence.fork")
            return
        }
        #expect(body.digest == proof.digest && body.b.root == other.root && body.a.size == Int64(honest.size))
        let replay = ["audit", "replay", deployment.ledgerURL, "--ledger-id", deployment.ledgerID, "--dev", "--json"]
        #expect(try await deployment.run(replay).json()["error"] == nil)
        // Whoever needs no network proves it from the ledger's folder.
        let offline = [
            "audit", "evidence", "fork.json", "--ledger-id", deployment.ledgerID, "--ledger", "ledger", "--json",
        ]
        #expect(try await deployment.run(offline + ["--dev"]).json()["result"] as? String == "ok")
    }
}
