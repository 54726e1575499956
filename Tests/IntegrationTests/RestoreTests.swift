import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("An older copy of a ledger is put back")
struct Restores {
    private struct Scene {
        let rig: LedgerRig
        let memory = ClientMemory()
        var old: String { rig.folder.path("old") }
        var newest: String { rig.folder.path("newest") }

        /// A ledger with some entries, a copy of it, and more entries behind the copy; stopped.
        init(_ flags: [String] = ["--dev"]) async throws {
            rig = try await LedgerRig()
            try await rig.start(flags)
            for _ in 0..<3 { try await rig.append() }
            memory.note(try await rig.checkpoint())
            try await rig.stop()
            try FileManager.default.copyItem(atPath: rig.directory, toPath: old)
            try await rig.start(flags)
            for _ in 0..<5 {
                try await rig.append()
                memory.note(try await rig.checkpoint())
            }
            try await rig.stop()
            try FileManager.default.copyItem(atPath: rig.directory, toPath: newest)
        }

        /// Puts files of the old copy in the place of the newer ones.
        func putBack(_ names: [String]) throws {
            for name in names {
                for suffix in ["", "-wal", "-shm"] {
                    try? FileManager.default.removeItem(atPath: "\(rig.directory)/\(name)\(suffix)")
                }
                try FileManager.default.copyItem(atPath: "\(old)/\(name)", toPath: "\(rig.directory)/\(name)")
            }
        }

        /// The server reads but logs nothing, and says what it waits for, naming `place`.
        func expectHeld(at place: String) async throws {
            let newest = try await StoredLog(directory: newest).checkpoint()
            let largest = try Checkpoint(parsing: newest ?? [])
            let entry = try TwinMaker.envelope(Identifier(hex: rig.ledgerID)!)
            let sentence = "waiting for entries up to size \(largest.size), root \(largest.root), seen at \(place)"
            try await eventually(within: 30, "the ledger says what it waits for") {
                guard let answer = await rig.post(entry) else { return false }
                #expect(answer.status == 503, "\(answer)")
                return answer.body.contains(sentence)
            }
            let shown = try await rig.checkpoint()
            #expect(shown.size == 4)
            memory.note(shown)
        }

        /// The server signs again, and nothing that was ever shown is contradicted.
        func expectServed() async throws {
            try await rig.append()
            memory.note(try await rig.checkpoint())
            try await rig.stop()
            try await rig.check()
            let broken = try await memory.broken(by: try StoredLog(directory: rig.directory))
            #expect(broken.isEmpty, "\(broken)")
            #expect(try await rig.checkpoint(of: rig.directory).size > rig.checkpoint(of: newest).size)
        }
    }

    @Test(
        "the database alone: nothing is signed until `ledger recover` has fetched the rest, then it goes on by itself"
    )
    func database() async throws {
        let scene = try await Scene()
        try scene.putBack(["ledger.db"])
        let rig = scene.rig
        try await rig.start()
        try await scene.expectHeld(at: "the file sign-guard")
        let empty = rig.folder.path("empty")
        try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
        let lacking = try await rig.run(["ledger", "recover", rig.directory, "--from", empty], status: 75)
        #expect(lacking.errors.contains("no source has the entries up to size 9"))
        // The server is up meanwhile.
        let found = try await rig.run(["ledger", "recover", rig.directory, "--from", scene.newest, "--json"]).json()
        #expect(found["from"] as? Int == 4)
        #expect(found["to"] as? Int == 9)
        try await scene.expectServed()
    }

    @Test("the whole directory: a mirror that saw more holds the server back, and gives it what it lacks")
    func directory() async throws {
        let scene = try await Scene()
        try scene.putBack(["ledger.db", "sign-guard"])
        let rig = scene.rig
        let log = try StoredLog(directory: scene.newest)
        let files: LyingServer.Answer = { request in
            let path = request.path.dropFirst()
            let bytes: [UInt8]? =
                if path == "checkpoint" {
                    try? await log.checkpoint()
                } else if let tile = TilePath(String(path)) {
                    try? await log.tile(tile, limit: EntryBundle.longest)
                } else {
                    nil
                }
            return bytes.map { .respond(200, body: $0) } ?? .respond(404)
        }
        try await LyingServer.serving(files) { mirror in
            try await rig.start(["--dev", "--mirror", mirror.url])
            try await scene.expectHeld(at: "mirror \(mirror.url)")
            try await rig.run(["ledger", "recover", rig.directory, "--from", mirror.url])
            try await scene.expectServed()
        }
    }

    @Test("a database that went on from the old copy is never served again, and `recover` refuses it")
    func otherWay() async throws {
        let scene = try await Scene()
        // Without either guard nothing holds the old copy back: it goes another way.
        try scene.putBack(["ledger.db"])
        try FileManager.default.removeItem(atPath: "\(scene.rig.directory)/sign-guard")
        let rig = scene.rig
        try await rig.start()
        for _ in 0..<7 { try await rig.append() }
        try await rig.stop()
        // Now the right guard is found again.
        try FileManager.default.removeItem(atPath: "\(rig.directory)/sign-guard")
        try FileManager.default.copyItem(atPath: "\(scene.newest)/sign-guard", toPath: "\(rig.directory)/sign-guard")
        try await rig.start()
        let entry = try TwinMaker.envelope(Identifier(hex: rig.ledgerID)!)
        try await eventually("the ledger says that it went another way") {
            await rig.post(entry)?.body.contains("this database went another way") == true
        }
        let refused = try await rig.run(["ledger", "recover", rig.directory, "--from", scene.newest], status: 1)
        #expect(refused.errors.contains("it went another way"))
        try await rig.stop()
    }

    @Test("the whole directory of a ledger with witnesses: they know what they cosigned, and hold it back")
    func witnesses() async throws {
        let deployment = try await Deployment(witnesses: 3)
        let folder = deployment.folder.path
        func stop() async throws {
            deployment.ledger?.send(SIGTERM)
            _ = try await deployment.ledger?.finish()
        }
        try await deployment.makeTwin("first")
        try await stop()
        try FileManager.default.copyItem(atPath: "\(folder)/ledger", toPath: "\(folder)/old")
        try await deployment.startLedger()
        let memory = ClientMemory()
        let client = try LedgerClient(urls: [deployment.ledgerURL])
        defer { client.shutdown() }
        for name in ["second", "third"] {
            try await deployment.makeTwin(name)
            memory.note(try Checkpoint(parsing: try #require(try await client.checkpoint())))
        }
        try await stop()
        try FileManager.default.moveItem(atPath: "\(folder)/ledger", toPath: "\(folder)/newest")
        try FileManager.default.moveItem(atPath: "\(folder)/old", toPath: "\(folder)/ledger")

        try await deployment.startLedger()
        let entry = try TwinMaker(deployment).envelope()
        try await eventually(within: 60, "the ledger says which witness saw more") {
            let answer = await submit(entry, to: deployment.address, deployment.ledgerPort)
            return answer?.status == 503 && answer?.body.contains("seen at witness ") == true
                && answer?.body.contains("waiting for entries up to size ") == true
        }
        try await deployment.run(["ledger", "recover", "ledger", "--from", "newest"])
        try await deployment.makeTwin("fourth")
        memory.note(try Checkpoint(parsing: try #require(try await client.checkpoint())))
        try await stop()
        let broken = try await memory.broken(by: try StoredLog(directory: "\(folder)/ledger"))
        #expect(broken.isEmpty, "\(broken)")
        try await deployment.run(["ledger", "fsck", "ledger", "--ledger-id", deployment.ledgerID])
    }

    @Test("an entry that comes while the ledger still asks what was signed waits for the answer, and is then logged")
    func asking() async throws {
        let rig = try await LedgerRig()
        try await rig.start()
        try await rig.append()
        try await rig.stop()
        let isHeld = NIOLockedValueBox(true)
        let slow: LyingServer.Answer = { _ in
            while isHeld.withLockedValue({ $0 }) { try? await Task.sleep(for: .milliseconds(5)) }
            return .respond(404)
        }
        try await LyingServer.serving(slow) { mirror in
            defer { isHeld.withLockedValue { $0 = false } }
            try await rig.start(["--dev", "--mirror", mirror.url])
            let entry = try TwinMaker.envelope(Identifier(hex: rig.ledgerID)!)
            let (address, port) = (rig.address, rig.port)
            async let answer = submit(entry, to: address, port)
            try await eventually("the entry waits") {
                let hint = await fetch("/tx/\(entry.id.hex)", host: "ledger", at: rig.address, rig.port)
                return hint?.body.contains("pending") == true
            }
            isHeld.withLockedValue { $0 = false }
            let logged = await answer
            #expect(logged?.status == 201, "\(logged.map { "\($0)" } ?? "no answer")")
        }
        try await rig.stop()
        try await rig.check()
    }

    @Test("a recovery refuses while the server may sign")
    func served() async throws {
        let rig = try await LedgerRig()
        try await rig.start()
        try await rig.append()
        let refused = try await rig.run(["ledger", "recover", rig.directory, "--from", rig.directory], status: 75)
        #expect(refused.errors.contains("is being served and may sign"))
        try await rig.stop()
    }
}

extension LedgerRig {
    /// The newest checkpoint that a directory keeps.
    func checkpoint(of directory: String) async throws -> Checkpoint {
        try Checkpoint(parsing: try await StoredLog(directory: directory).checkpoint() ?? [])
    }
}
