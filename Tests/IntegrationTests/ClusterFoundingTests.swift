import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("A cluster is made of a ledger that exists")
struct ClusterFounding {
    @Test(
        "log, keys and checkpoints of a ledger on one server go on when it becomes a cluster, and a second member has all of it"
    )
    func founded() async throws {
        let rig = try await LedgerRig(origin: "test.example/founded")
        try await rig.start()
        let memory = ClientMemory()
        for _ in 0..<3 {
            try await rig.append()
            memory.note(try await rig.checkpoint())
        }
        let etcd = try await EtcdCluster(1, in: rig.folder.url)
        let flags = ["--etcd", etcd.endpoints[0], "--cluster", "main", "--json"]
        let served = try await rig.run(["ledger", "cluster", "ledger"] + flags, status: 75)
        #expect(served.errors.contains("another process serves the ledger"), "\(served)")
        try await rig.stop()
        let before = try await rig.checkpoint(of: rig.directory)

        let made = try await rig.run(["ledger", "cluster", "ledger"] + flags).json()
        #expect(made["ledger_id"] as? String == rig.ledgerID)
        #expect(made["size"] as? Int == Int(before.size))
        // A lost answer makes an operator run it again.
        try await rig.run(["ledger", "cluster", "ledger"] + flags)
        let members = try LedgerMembers(of: rig.ledgerID, cluster: "main", in: rig.folder.url)
        try await members.serve("ledger")
        try await rig.run(
            ["ledger", "join", "second", "--ledger-id", rig.ledgerID, "--key", "ledger/ledger.key"] + flags
        )
        try await members.serve("second")
        for number in 0..<4 {
            let maker = TwinMaker(ledger: members.ledgerID, client: try members.client(number % 2))
            #expect(try await maker.append() != nil)
        }
        let end = try await members.settled()
        memory.note(end)
        #expect(end.size >= before.size + 4)
        let logs = try await members.allLeaves(size: end.size)
        #expect(logs[0] == logs[1])
        for process in members.processes {
            process.send(SIGTERM)
            _ = try await process.finish()
        }
        for directory in ["ledger", "second"] {
            let log = try StoredLog(directory: rig.folder.path(directory))
            let broken = try await memory.broken(by: log)
            #expect(broken.isEmpty, "\(directory): \(broken)")
            try await rig.run(["ledger", "fsck", directory, "--ledger-id", rig.ledgerID], within: 120)
        }
        let other = try await rig.run(
            ["ledger", "cluster", "ledger", "--etcd", etcd.endpoints[0], "--cluster", "other"],
            status: 2
        )
        #expect(other.errors.contains("is a member of the cluster main"), "\(other)")
    }

    @Test("a ledger that lacks what it signed is not made a cluster")
    func behind() async throws {
        let rig = try await LedgerRig()
        try await rig.start()
        try await rig.append()
        try await rig.stop()
        let old = rig.folder.path("old.db")
        try FileManager.default.copyItem(atPath: "\(rig.directory)/ledger.db", toPath: old)
        try await rig.start()
        try await rig.append()
        try await rig.stop()
        try FileManager.default.removeItem(atPath: "\(rig.directory)/ledger.db")
        try FileManager.default.copyItem(atPath: old, toPath: "\(rig.directory)/ledger.db")
        let etcd = try await EtcdCluster(1, in: rig.folder.url)
        let refused = try await rig.run(
            ["ledger", "cluster", "ledger", "--etcd", etcd.endpoints[0], "--cluster", "main"],
            status: 1
        )
        #expect(refused.errors.contains("waiting for entries up to size 3"), "\(refused)")
        #expect(try await etcd.keys("main", "batch", from: 0).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: "\(rig.directory)/cluster.json"))
    }
}

@Suite("etcd is put back from an older copy")
struct ClusterRestores {
    @Test(
        "no member signs a second root of a size: one that is ahead ends, one that was behind waits for what others have seen"
    )
    func restored() async throws {
        let folder = try TemporaryFolder()
        let etcd = try await EtcdCluster(1, in: folder.url)
        let members = try await LedgerMembers(etcd: [etcd.endpoints, etcd.endpoints], in: folder.url)
        let maker = TwinMaker(ledger: members.ledgerID, client: try members.client(0))
        for _ in 0..<3 { #expect(try await maker.append() != nil) }
        let old = try await members.settled()
        try await members.processes[1].killHard()
        try await etcd.killHard(0)
        let copy = folder.url.appendingPathComponent("etcd.old")
        try FileManager.default.copyItem(at: etcd.data(0), to: copy)
        try etcd.start(0)
        let memory = ClientMemory()
        try await eventually(within: 60, "the first member goes on alone") {
            if let checkpoint = try await members.checkpoint(0) { memory.note(checkpoint) }
            _ = try? await maker.append()
            return try await members.checkpoint(0).map { $0.size >= old.size + 4 } ?? false
        }
        let newest = try #require(try await members.checkpoint(0))
        memory.note(newest)

        // Put back under the member that runs: it ends by itself.
        try await etcd.killHard(0)
        try FileManager.default.removeItem(at: etcd.data(0))
        try FileManager.default.copyItem(at: copy, to: etcd.data(0))
        try etcd.start(0)
        let end = try await members.processes[0].finish(within: 60)
        #expect(end.status == 1, "\(end)")
        #expect(end.errors.contains("restored from an old copy"), "\(end.errors)")

        // The other one was behind when the copy was made: nothing that it holds contradicts etcd.
        let ahead = try StoredLog(directory: folder.path("member0"))
        let files: LyingServer.Answer = { request in
            guard request.path == "/checkpoint", let note = try? await ahead.checkpoint() else { return .respond(404) }
            return .respond(200, body: note)
        }
        try await LyingServer.serving(files) { mirror in
            try await members.restart(1, ["--mirror", mirror.url])
            let entry = try maker.envelope()
            try await eventually(within: 60, "the member says what it waits for") {
                let answer = try await members.post(1, entry.leaf)
                return answer.status == 503 && answer.body.contains("waiting for entries up to size \(newest.size)")
                    && answer.body.contains("etcd was restored from an old copy")
            }
            #expect(try await members.checkpoint(1)?.size == old.size)
        }
        try await members.processes[1].killHard()

        // The way out that the sentences name.
        let flags = ["--etcd", etcd.endpoints[0], "--cluster", "again"]
        try await members.run(["ledger", "cluster", "member0", "--instead-of", "main"] + flags)
        try await members.restart(0)
        let client = TwinMaker(ledger: members.ledgerID, client: try members.client(0))
        #expect(try await client.append() != nil)
        memory.note(try #require(try await members.checkpoint(0)))
        try await members.run(
            ["ledger", "join", "third", "--ledger-id", members.ledgerID, "--key", "member0/ledger.key"] + flags
        )
        try await members.serve("third")
        try await eventually(within: 60, "a new member has the whole log") {
            try await members.checkpoint(2)?.size == members.checkpoint(0)?.size
        }
        memory.note(try #require(try await members.checkpoint(2)))
        members.processes[0].send(SIGTERM)
        _ = try await members.processes[0].finish()
        let broken = try await memory.broken(by: try StoredLog(directory: folder.path("member0")))
        #expect(broken.isEmpty, "\(broken)")
    }
}
