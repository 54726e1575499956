import Contracts
import Foundation
import NIOConcurrencyHelpers
import TestSupport
import Testing

@testable import Ledger

@Suite("A cluster on etcd")
struct ClusterTests {
    @Test(
        "three members that all write lose nothing and never fork when etcd's leader, then a member, is killed",
        .timeLimit(.minutes(5))
    )
    func kills() async throws {
        let folder = try TemporaryFolder()
        let etcd = try await EtcdCluster(3, in: folder.url)
        let members = try await LedgerMembers(
            etcd: Array(repeating: etcd.endpoints, count: 3),
            absence: 2,
            in: folder.url
        )
        let journal = ClusterJournal()
        var tasks: [Task<Void, any Error>] = []
        for number in 0..<3 {
            let maker = TwinMaker(ledger: members.ledgerID, client: try members.client(number))
            tasks += (0..<2).map { _ in Task { try await journal.write(maker) } }
            let client = try members.client(number)
            tasks.append(Task { try await journal.watch(client) })
        }
        defer { for task in tasks { task.cancel() } }
        func more(_ count: Int, _ why: String) async throws {
            let before = journal.acknowledged.count
            try await eventually(within: 60, why) { journal.acknowledged.count >= before + count }
        }
        try await more(60, "all three members acknowledge entries")

        // The leader, under load.
        let leader = try await awaited("etcd has a leader") { await etcd.leader() }
        try await etcd.killHard(leader)
        let killed = ContinuousClock.now
        let resumed = try await awaited("a write that began after the kill is acknowledged", within: 60) {
            journal.acknowledged.filter { $0.began > killed }.map(\.ended).min()
        }
        print("writes resumed \(resumed - killed) after the leader was killed")
        #expect(resumed - killed < .seconds(10))
        try await more(60, "entries are acknowledged without the old leader")

        // A member, for a moment.
        try await members.processes[1].killHard()
        try await members.restart(1)
        try await more(30, "entries are acknowledged after the restart")

        // A member, until etcd no longer has what it lacks.
        let held = try #require(try await members.checkpoint(2)).size
        try await members.processes[2].killHard()
        let alive = (0..<3).first { $0 != leader } ?? 0
        try await eventually(within: 60, "batches that the dead member lacks leave etcd") {
            // Its disk may be ahead of what it showed by what it had no time to sign.
            guard let first = try? await etcd.keys(members.cluster, "batch", from: alive).first,
                let base = UInt64(first.split(separator: "/").last ?? "")
            else { return false }
            return base > held + 64
        }
        try await members.restart(2)
        try etcd.start(leader)
        try await more(30, "entries are acknowledged with all members")
        for task in tasks { task.cancel() }
        for task in tasks { _ = await task.result }

        let end = try await members.settled()
        #expect(members.processes[2].errors.contains("another member's tiles give it"))
        let logs = try await members.allLeaves(size: end.size)
        #expect(logs[0] == logs[1] && logs[0] == logs[2], "the members' logs differ")
        let acknowledged = journal.acknowledged
        #expect(Set(acknowledged.map(\.index)).count == acknowledged.count, "an index was given twice")
        for entry in acknowledged {
            #expect(entry.index < end.size && logs[0][Int(entry.index)] == entry.leaf, "entry \(entry.index) is lost")
        }
        #expect(journal.conflicts.isEmpty, "\(journal.conflicts)")
        print("\(acknowledged.count) acknowledged, \(end.size) entries, \(journal.roots.count) sizes seen signed")
        let replay = try await members.run([
            "audit", "replay", members.url(2), "--ledger-id", members.ledgerID, "--dev", "--json",
        ]).json()
        #expect((replay["codes"] as? [String: Int]).map { Array($0.keys) } == ["ok"], "\(replay)")
    }

    @Test("a member that has not followed yet refuses nobody, and one that has says what the fold says")
    func lanes() async throws {
        let folder = try TemporaryFolder()
        let etcd = try await EtcdCluster(1, in: folder.url)
        let members = try await LedgerMembers(etcd: [etcd.endpoints, etcd.endpoints], in: folder.url)
        let clients = try (0..<2).map { try members.client($0) }
        let maker = TwinMaker(ledger: members.ledgerID, client: clients[0])
        let key = try TwinMaker.freshKey()
        let twin = try maker.envelope(of: key)
        guard case .included = try await clients[0].submit(twin) else {
            Issue.record("the twin was not logged")
            return
        }
        func entry(_ name: String, _ seq: Int64) -> Envelope {
            EntryDraft(
                type: "name.create",
                ledger: maker.ledger,
                account: twin.id,
                signer: key.keyID,
                seq: seq,
                expires: Int64(Date().timeIntervalSince1970) + 3_600,
                body: ["name": .string(name)]
            ).signed(by: [key])
        }
        // Each at the other member than the one before, at once: that member cannot have heard of it.
        for seq in 1...20 {
            let answer = try await clients[seq % 2].submit(entry("name-\(seq)", Int64(seq)))
            guard case .included = answer else {
                Issue.record("entry \(seq) got \(answer)")
                return
            }
        }
        guard case .refused("seq.gap", _, 21) = try await clients[0].submit(entry("gap", 30)),
            case .refused("name.taken", _, nil) = try await clients[1].submit(entry("name-20", 21))
        else {
            Issue.record("a wrong entry was not refused by its rule")
            return
        }
    }

    @Test("members reach an etcd that wants client certificates, and nobody does without one")
    func certificates() async throws {
        let folder = try TemporaryFolder()
        try makeCertificates(in: folder.url)
        let etcd = try await EtcdCluster(1, tls: true, in: folder.url)
        let flags = ["--etcd-ca", "ca.pem", "--etcd-cert", "member.pem", "--etcd-key", "member.key"]
        let members = try await LedgerMembers(
            etcd: [etcd.endpoints, etcd.endpoints],
            flags: flags,
            in: folder.url
        )
        #expect(try await TwinMaker(ledger: members.ledgerID, client: members.client(1)).append() != nil)
        let stranger = [
            "ledger", "join", "stranger", "--etcd", etcd.endpoints[0], "--cluster", "main", "--ledger-id",
            members.ledgerID, "--key", "member0/ledger.key",
        ]
        try await members.run(stranger, status: 69)
        try await members.run(stranger + ["--etcd-ca", "ca.pem"], status: 69)
    }

    /// An authority, a certificate for etcd and one for members.
    private func makeCertificates(in folder: URL) throws {
        func openssl(_ arguments: String) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            process.arguments = arguments.split(separator: " ").map(String.init)
            process.currentDirectoryURL = folder
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "openssl \(arguments)")
        }
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        try openssl("req -x509 \(key) -keyout ca.key -out ca.pem -subj /CN=authority")
        for name in ["etcd", "member"] {
            try openssl(
                "req -x509 \(key) -CA ca.pem -CAkey ca.key -keyout \(name).key -out \(name).pem -subj /CN=\(name) "
                    + "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:false"
            )
        }
    }

    @Test("the largest batch goes through etcd's JSON gateway and back")
    func largest() async throws {
        let folder = try TemporaryFolder()
        let etcd = try await EtcdCluster(1, in: folder.url)
        let client = try EtcdClient(endpoints: etcd.endpoints)
        defer { client.shutdown() }
        let leaf = (0..<16_384).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let bytes = [[UInt8]](repeating: leaf, count: 80).flatMap { $0 }
        let put = try await client.transact(if: [.isAbsent("batch")], then: [.put("batch", bytes)])
        #expect(put.succeeded)
        let found = try await client.transact(then: [.get("head"), .list(first: "batch", end: "batci", limit: 1)])
        #expect(found.rows == [[], [EtcdClient.Row(key: "batch", value: bytes)]])
        await #expect(throws: ClusterError.self) {
            try await client.transact(then: [.put("batch", bytes + bytes)])
        }
    }

    /// What somebody else may write to etcd, and what the member says of it.
    enum Forgery: CaseIterable {
        case damagedBatch
        case noEntry
        case wrongRoot
        case headRemoved

        var complaint: String {
            switch self {
            case .damagedBatch: "it is damaged"
            case .noEntry: "is none that a ledger logs"
            case .wrongRoot: "does not give the root"
            case .headRemoved: "there is no cluster"
            }
        }
    }

    @Test("a member stops at what no member wrote, and keeps nothing of it")
    func forgeries() async throws {
        let folder = try TemporaryFolder()
        let etcd = try await EtcdCluster(1, in: folder.url)
        let client = try EtcdClient(endpoints: etcd.endpoints)
        defer { client.shutdown() }
        for forgery in Forgery.allCases {
            let name = "\(forgery)".lowercased()
            let place = folder.url.appendingPathComponent(name)
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
            let members = try await LedgerMembers(etcd: [etcd.endpoints], cluster: name, in: place)
            let maker = TwinMaker(ledger: members.ledgerID, client: try members.client(0))
            #expect(try await maker.append() != nil)
            try await write(forgery, to: client, ClusterKeys(cluster: name), maker, members)
            let end = try await members.processes[0].finish(within: 60)
            #expect(end.status == 1, "\(forgery): \(end)")
            #expect(end.errors.contains(forgery.complaint), "\(forgery): \(end)")
            let store = try LedgerStore(path: place.appendingPathComponent("member0/ledger.db").path)
            #expect(try await store.head().size == 2, "\(forgery) was kept")
            try store.close()
        }
    }

    private func write(
        _ forgery: Forgery,
        to client: EtcdClient,
        _ keys: ClusterKeys,
        _ maker: TwinMaker,
        _ members: LedgerMembers
    ) async throws {
        let found = try await client.transact(then: [.get(keys.head)]).rows[0]
        guard let row = found.first,
            case .head(let base) = try ClusterRecord(row.value, of: maker.ledger, at: row.key)
        else { throw NeverHappened(description: "no head in etcd") }
        guard forgery != .headRemoved else {
            _ = try await client.transact(then: [.delete(first: keys.head, end: keys.head + "!")])
            return
        }
        let leaf = forgery == .noEntry ? Array("no entry".utf8) : try maker.envelope().leaf
        var tree = CompactRange()
        for known in try await members.leaves(0, size: base.size) + [leaf] { tree.append(MerkleTree.leafHash(known)) }
        let root = forgery == .wrongRoot ? Digest.zero : tree.root
        let head = ClusterRecord.Head(size: base.size + 1, root: root, outcomeRoot: .zero)
        let batch = ClusterRecord.Batch(author: MemberID(), base: base, head: head, leaves: [leaf])
        var bytes = ClusterRecord.batch(batch).bytes(of: maker.ledger)
        if forgery == .damagedBatch { bytes[bytes.count / 2] ^= 1 }
        _ = try await client.transact(then: [
            .put(keys.batch(base.size), bytes), .put(keys.head, ClusterRecord.head(head).bytes(of: maker.ledger)),
        ])
    }

    @Test("finds out what became of a commit whose answer was lost, and answers 503 while etcd is away")
    func lostAnswers() async throws {
        let folder = try TemporaryFolder()
        let etcd = try await EtcdCluster(1, in: folder.url)
        let port = etcd.ports[0]
        let batches = Counter()
        try await LyingServer.serving { request in
            let answer = await LyingServer.forward(request, to: port)
            // Every second batch is taken, and the connection ends before the member hears of it.
            let isBatch =
                String(decoding: request.body, as: UTF8.self).contains(#""compare""#) && request.body.count > 1500
            if isBatch, batches.next() % 2 == 0 { return .close }
            return answer?.reply ?? .close
        } _: { liar in
            let members = try await LedgerMembers(etcd: [[liar.url], etcd.endpoints], in: folder.url)
            let makers = try (0..<2).map { TwinMaker(ledger: members.ledgerID, client: try members.client($0)) }
            var indices: [UInt64] = []
            for number in 0..<20 {
                let envelope = try makers[0].envelope()
                // To the member whose answers are lost, and at the same time to the other.
                async let first = makers[0].client.submit(envelope)
                async let second = number % 4 == 0 ? makers[1].client.submit(envelope) : nil
                guard case .included(let receipt) = try await first else {
                    Issue.record("entry \(number) was not acknowledged")
                    continue
                }
                let index = try Receipt(parsing: receipt).index
                if case .included(let other)? = try await second {
                    #expect(try Receipt(parsing: other).index == index, "one entry has two places")
                }
                indices.append(index)
            }
            #expect(batches.value > 10, "no answer was lost")
            #expect(Set(indices).count == 20)

            try await etcd.killHard(0)
            let late = try makers[1].envelope()
            try await eventually(within: 60, "a member without etcd answers 503 with Retry-After") {
                let answer = try await members.post(1, late.leaf)
                return answer.status == 503 && answer.head.lowercased().contains("retry-after: ")
                    && answer.body.contains("unavailable")
            }
            #expect(try await members.checkpoint(1) != nil, "what is published is served on")
            try etcd.start(0)
            try await eventually(within: 60, "the entry is logged when etcd is back") {
                if case .included? = try? await makers[1].client.submit(late) { return true }
                return false
            }
            let end = try await members.settled()
            let logs = try await members.allLeaves(size: end.size)
            #expect(logs[0] == logs[1])
            #expect(logs[0].filter { $0 == late.leaf }.count == 1)
        }
    }
}

/// Counts calls from any thread.
private final class Counter: Sendable {
    private let count = NIOLockedValueBox(0)

    var value: Int { count.withLockedValue { $0 } }

    func next() -> Int {
        count.withLockedValue { count in
            count += 1
            return count
        }
    }
}
