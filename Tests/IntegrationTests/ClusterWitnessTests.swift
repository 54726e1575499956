import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("A cluster with witnesses", .enabled(if: More.heavy, "`scripts/test-more.sh heavy` runs it"))
struct ClusterWitnesses {
    /// Two members that three of four witnesses cosign for, and a fourth and a fifth witness that are up.
    private final class Scene {
        struct Witness {
            var option: String
            var line: String
            var process: NodeProcess
        }

        let folder: TemporaryFolder
        let etcd: EtcdCluster
        let members: LedgerMembers
        private(set) var witnesses: [Witness] = []

        init() async throws {
            folder = try TemporaryFolder()
            etcd = try await EtcdCluster(1, in: folder.url)
            let address = Loopback.address()
            var plans: [(name: String, key: String, port: UInt16)] = []
            let commands = try LedgerMembers(of: "", cluster: "main", in: folder.url)
            for name in ["w1", "w2", "w3", "w4"] {
                try await commands.run(["keys", "new", "\(name).key"])
                let shown = try await commands.run(["witness", "key", "\(name).key", "--name", name, "--json"]).json()
                plans.append((name, shown["verifier_key"] as? String ?? "", try Loopback.freePort(address)))
            }
            func option(_ plan: (name: String, key: String, port: UInt16)) -> String {
                "\(plan.key)@http://\(address):\(plan.port)"
            }
            let cluster = ["--etcd", etcd.endpoints[0], "--cluster", "main", "--json"]
            let made = try await commands.run(
                ["ledger", "init", "member0", "--origin", "test.example/witnessed"]
                    + plans.prefix(3).flatMap { ["--witness", option($0)] } + cluster
            ).json()
            let id = made["ledger_id"] as? String ?? ""
            try await commands.run(
                ["ledger", "join", "member1", "--ledger-id", id, "--key", "member0/ledger.key"] + cluster
            )
            try FileManager.default.copyItem(
                atPath: folder.path("member0/witnesses"),
                toPath: folder.path("member1/witnesses")
            )
            members = try LedgerMembers(of: id, cluster: "main", flags: [], in: folder.url)
            for directory in ["member0", "member1"] { try await members.serve(directory) }
            for plan in plans {
                let process = try NodeProcess(
                    plan.name,
                    [
                        "witness", "serve", "--key", "\(plan.name).key", "--name", plan.name,
                        "--listen", "\(address):\(plan.port)", "--state", "state-\(plan.name)",
                    ] + flags,
                    in: folder.url
                )
                witnesses.append(
                    Witness(
                        option: option(plan),
                        line: "\(plan.key) http://\(address):\(plan.port)\n",
                        process: process
                    )
                )
            }
            for witness in witnesses { _ = try await witness.process.line(beginning: "listening on http://") }
        }

        /// The ledger as its users name it: by both members.
        var flags: [String] {
            ["--ledger", members.url(0), "--ledger", members.url(1), "--ledger-id", members.ledgerID]
        }

        /// An entry through one member, acknowledged.
        func append(through number: Int) async throws {
            let maker = TwinMaker(ledger: members.ledgerID, client: try members.client(number))
            let envelope = try maker.envelope()
            try await eventually(within: 60, "member \(number) acknowledges an entry") {
                if case .included? = try? await maker.client.submit(envelope) { return true }
                return false
            }
        }

        func follow(_ state: String) async throws {
            try await members.run(["contract", "list", "--key", "user.key", "--state", state] + flags)
        }
    }

    @Test(
        "the keys of the root, of the ledger and of a witness change under its users, who follow through either member"
    )
    func rotations() async throws {
        let scene = try await Scene()
        let members = scene.members
        for number in 0..<2 { try await scene.append(through: number) }
        try await members.run(["keys", "new", "user.key"])
        try await members.run(["twin", "create", "--key", "user.key", "--state", "old"] + scene.flags)

        // Every member has the new key before the entry that puts it in force.
        try await members.run(["keys", "new", "member0/ledger-2.key"])
        try FileManager.default.copyItem(
            atPath: scene.folder.path("member0/ledger-2.key"),
            toPath: scene.folder.path("member1/ledger-2.key")
        )
        try await members.run(
            ["ledger", "rotate", "keys", "member0", "--root-key", "member0/root.key", "--state", "root"] + scene.flags
        )
        for number in 0..<2 { try await scene.append(through: number) }

        try await members.run(["keys", "new", "root-2.key"])
        try await members.run(
            [
                "ledger", "rotate", "root", "--root-key", "member0/root.key", "--new-key", "root-2.key",
                "--state", "root",
            ] + scene.flags
        )

        // The third witness is replaced by the fourth; the other member is told where that is.
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: scene.folder.path("member1/witnesses")))
        try file.seekToEnd()
        try file.write(contentsOf: Data(scene.witnesses[3].line.utf8))
        try file.close()
        let kept = [0, 1, 3].flatMap { ["--witness", scene.witnesses[$0].option] }
        try await members.run(
            ["ledger", "rotate", "policy", "member0", "--root-key", "root-2.key", "--state", "root"] + kept
                + scene.flags
        )
        for number in 0..<2 { try await scene.append(through: number) }

        // One who followed all along, one who comes now, and an auditor of each member.
        try await scene.follow("old")
        try await scene.follow("new")
        for number in 0..<2 {
            try await members.run(["audit", "replay", members.url(number), "--ledger-id", members.ledgerID])
        }

        // Without one member, and without the replaced witness, the other one goes on.
        try await members.processes[0].killHard()
        try await scene.append(through: 1)
        try await scene.follow("old")
        #expect(members.processes[1].isRunning)
    }

    @Test("members publish nothing without a quorum, and go on by themselves when it is back")
    func quorum() async throws {
        let scene = try await Scene()
        let members = scene.members
        // Each member has asked the witnesses by then what it may sign.
        for number in 0..<2 { try await scene.append(through: number) }
        let shown = try #require(try await members.checkpoint(0))
        for number in 0..<2 { scene.witnesses[number].process.send(SIGSTOP) }
        let envelope = try TwinMaker(ledger: members.ledgerID, client: members.client(1)).envelope()
        let pending = try await members.client(1).submit(envelope, isAsynchronous: true)
        guard case .pending = pending else {
            Issue.record("the entry got \(pending)")
            return
        }
        try await eventually(within: 30, "a member says that witnesses are missing") {
            members.processes[1].errors.contains("nothing is published until enough witnesses cosign")
        }
        #expect(try await members.checkpoint(0)?.size == shown.size)
        for number in 0..<2 { scene.witnesses[number].process.send(SIGCONT) }
        try await eventually(within: 60, "both members publish the entry") {
            for number in 0..<2 {
                guard let size = try await members.checkpoint(number)?.size, size > shown.size else { return false }
            }
            return true
        }
    }
}
