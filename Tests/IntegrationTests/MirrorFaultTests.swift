import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("A mirror that is killed, or whose ledger forks", .serialized)
struct MirrorFaults {
    private func mirror(_ deployment: Deployment, _ more: [String] = [], ledger url: String? = nil) -> [String] {
        [
            "ledger", "mirror", "site", "--ledger", url ?? deployment.ledgerURL, "--ledger-id", deployment.ledgerID,
            "--dev", "--json",
        ] + more
    }

    private func checkpoint(_ site: URL) -> Checkpoint? {
        let note = try? Data(contentsOf: site.appendingPathComponent("checkpoint"))
        return note.flatMap { try? Checkpoint(parsing: [UInt8]($0)) }
    }

    @Test("killed at random points, it never shows less than before, and goes on to a folder that verifies")
    func killed() async throws {
        let deployment = try await Deployment()
        let auditors = try await Auditors(deployment, names: ["ann"], quorum: 1)
        _ = try await auditors.offeredSize()
        try await auditors.attest("ann")
        let maker = try TwinMaker(deployment)
        defer { maker.client.shutdown() }
        try await maker.append(1000)
        // What is killed is the copying: the log is verified before, in a folder that the copy shares.
        try await deployment.run(mirror(deployment, ["--once", "--state", "verified"]), within: 60)
        try FileManager.default.removeItem(at: deployment.folder.appendingPathComponent("site"))
        let site = deployment.folder.appendingPathComponent("site")
        let replay = ["--ledger-id", deployment.ledgerID, "--dev", "--json"]
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        var shown: UInt64 = 0
        var audited: UInt64 = 0
        var rounds = 0
        while rounds < 10 || (shown == 0 && rounds < 40) {
            rounds += 1
            let process = try NodeProcess("mirror", mirror(deployment, ["--state", "verified"]), in: deployment.folder)
            let moment = Duration.milliseconds(Int64.random(in: 20...4000, using: &random))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await maker.append(50) }
                // The moment of the kill is what is random here; nothing waits for it.
                try await Task.sleep(for: moment)
                try await process.killHard()
                try await group.waitForAll()
            }
            let size = checkpoint(site)?.size ?? 0
            #expect(size >= shown)
            shown = size
            guard size > audited else { continue }
            audited = size
            let copy = try await deployment.run(["audit", "replay", "site"] + replay).json()
            #expect(copy["size"] as? Int == Int(size))
        }
        #expect(shown > 0)
        print("checkpoint of size \(shown) after the last kill")
        // The ledger ticks once a minute: an entry that came after the copy is copied before they are compared.
        var (truth, copy): ([String: Any], [String: Any]) = ([:], [:])
        try await eventually(within: 60, "the copy is as long as the log") {
            try await deployment.run(mirror(deployment, ["--once", "--state", "verified"]), within: 60)
            copy = try await deployment.run(["audit", "replay", "site"] + replay).json()
            truth = try await deployment.run(["audit", "replay", "ledger"] + replay).json()
            return copy["size"] as? Int == truth["size"] as? Int
        }
        for member in ["size", "root", "outcome_root", "state_root"] {
            #expect("\(copy[member] ?? "")" == "\(truth[member] ?? "-")", "\(member)")
        }
        #expect(truth["size"] as? Int ?? 0 > 1500)
        // What the kills left behind is gone, and the key chain is whole: genesis and the policy with the auditor.
        let names = try FileManager.default.contentsOfDirectory(atPath: site.path)
        #expect(Set(names) == ["checkpoint", "keyset", "snapshot", "tile"])
        let chain = try FileManager.default.contentsOfDirectory(atPath: site.appendingPathComponent("keyset").path)
        #expect(Set(chain) == ["0", "1"])
    }

    @Test("of a ledger that forks it keeps the older copy, ends with 1 and names the evidence")
    func forked() async throws {
        let deployment = try await Deployment(address: "127.0.0.1")
        let maker = try TwinMaker(deployment)
        defer { maker.client.shutdown() }
        try await maker.append(300)
        try await deployment.run(mirror(deployment, ["--once"]))
        let site = deployment.folder.appendingPathComponent("site")
        let before = try contents(site)
        let honest = try #require(checkpoint(site))
        let seed = try String(
            contentsOf: deployment.folder.appendingPathComponent("ledger/ledger.key"),
            encoding: .utf8
        )
        let key = try SigningKey(seed: #require(Hex.decode(String(seed.prefix(64)))))
        let text = Checkpoint.text(origin: honest.origin, size: honest.size, root: .sha256(Array("other".utf8)))
        let verifierKey = VerifierKey(name: honest.origin, type: VerifierKey.noteType, key: key.publicKey)
        let forked = SignedNote.signed(text: text, by: [(key, verifierKey)]).bytes
        let port = Int(deployment.ledgerPort)
        let liar: LyingServer.Answer = { request in
            if request.path == "/checkpoint" { return .respond(200, body: forked) }
            return await LyingServer.forward(request, to: port)?.reply ?? .close
        }
        try await LyingServer.serving(liar) { server in
            // Once, and as a process that follows.
            for more in [["--once"], []] {
                let ended = try await deployment.run(mirror(deployment, more, ledger: server.url), status: 1)
                let said = try ended.json()
                #expect(said["code"] as? String == "checkpoint.fork")
                let message = said["message"] as? String ?? ""
                let path = try #require(message.split(separator: " ").first { $0.contains("fork-") })
                let judged = try await deployment.run([
                    "audit", "evidence", String(path.replacing(";", with: "")), "--ledger", "site", "--ledger-id",
                    deployment.ledgerID, "--dev",
                ])
                #expect(!judged.output.isEmpty)
                #expect(try contents(site) == before)
            }
        }
    }

    /// Every file below a folder.
    private func contents(_ folder: URL) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
            if let data = FileManager.default.contents(atPath: folder.appendingPathComponent(name).path) {
                files[name] = data
            }
        }
        return files
    }
}
