import Contracts
import Ledger
import TestSupport
import Testing

@Suite("Submitter")
struct SubmitterTests {
    private let key = TestLog.key(3, 1)

    @Test("returns an entry with its verified receipt, and the state that contains it")
    func accepted() async throws {
        try await LiveLedger.running { live in
            let twin = try await live.twin(key)
            #expect(live.watcher.latest?.state.twin(twin) != nil)
            let body = EntryBody.nameCreate(NameCreateBody(name: "hello"))
            let submission = try await Submitter(watcher: live.watcher).submit(body, account: twin, key: key)
            #expect(submission.code == .ok)
            #expect(try Receipt(parsing: submission.receipt).index == submission.index)
            #expect(live.watcher.latest?.state.name(named: "hello")?.0 == submission.id)
            #expect(live.watcher.latest?.state.lane(account: twin, key: key.keyID) == 1)
        }
    }

    @Test("gives the ledger's code for an entry that it refuses, and the lane goes on")
    func refused() async throws {
        try await LiveLedger.running { live in
            let twin = try await live.twin(key)
            let submitter = Submitter(watcher: live.watcher)
            let body = EntryBody.nameCreate(NameCreateBody(name: "hello"))
            _ = try await submitter.submit(body, account: twin, key: key)
            await #expect {
                try await submitter.submit(body, account: twin, key: key)
            } throws: { ($0 as? SubmissionRefusal)?.code == "name.taken" }
            let other = EntryBody.nameCreate(NameCreateBody(name: "other"))
            #expect(try await submitter.submit(other, account: twin, key: key).code == .ok)
        }
    }

    @Test("reads its lane again when another process used the sequence")
    func sharedLane() async throws {
        try await LiveLedger.running { live in
            let twin = try await live.twin(key)
            let submitter = Submitter(watcher: live.watcher)
            let ids = try await withThrowingTaskGroup(of: Identifier.self) { group in
                for name in ["one", "two"] {
                    let body = EntryBody.nameCreate(NameCreateBody(name: name))
                    group.addTask { try await submitter.submit(body, account: twin, key: key).id }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(ids.count == 2)
            #expect(live.watcher.latest?.state.lane(account: twin, key: key.keyID) == 2)
        }
    }

    @Test("submits many entries of one lane in a few batches")
    func pipeline() async throws {
        try await LiveLedger.running { live in
            let twin = try await live.twin(key)
            let bodies = (0..<100).map { EntryBody.nameCreate(NameCreateBody(name: "name-\($0)")) }
            let begin = ContinuousClock.now
            let results = await Submitter(watcher: live.watcher).submitAll(bodies, account: twin, key: key)
            #expect(ContinuousClock.now - begin < .seconds(20))
            for result in results { #expect(try result.get().code == .ok) }
            #expect(live.watcher.latest?.state.lane(account: twin, key: key.keyID) == 100)
        }
    }

    @Test("is not fooled by a liar between it and a real ledger, and goes on when the liar stops")
    func betweenRealParts() async throws {
        try await LiveLedger.running { live in
            let port = try #require(live.url.split(separator: ":").last.flatMap { Int($0) })
            let altered: LyingServer.Answer = { request in
                guard var honest = await LyingServer.forward(request, to: port) else { return .close }
                if request.path.hasPrefix("/tile/entries/") { honest.body[honest.body.count - 9] ^= 1 }
                return honest.reply
            }
            let honest: LyingServer.Answer = { request in
                await LyingServer.forward(request, to: port)?.reply ?? .close
            }
            try await LyingServer.serving(altered) { liar in
                var configuration = live.configuration
                configuration.urls = [liar.url]
                configuration.stateDirectory += "-2"
                let watcher = try Watcher(configuration: configuration)
                defer { watcher.shutdown() }
                await #expect {
                    try await watcher.catchUp()
                } throws: { ($0 as? LedgerRefusal)?.code == "entries.mismatch" }
                liar.setAnswer(honest)
                let body = TwinCreateBody(keys: TwinKeys(owner: [key.publicKey]))
                let submission = try await Submitter(watcher: watcher).submit(.twinCreate(body), account: nil, key: key)
                #expect(watcher.latest?.state.twin(submission.id) != nil)
            }
        }
    }

    // MARK: A ledger that lies or fails

    /// Submits a twin to a server that answers POST /entries with `reply` first, as often as `count` says.
    private func submit(
        count: Int = .max,
        deadline: Duration = .seconds(60),
        _ reply: @escaping @Sendable (TestLog, [UInt8]) -> LyingServer.Reply
    ) async throws -> Submission {
        var log = TestLog()
        log.grow(to: 3)
        return try await WatcherHarness.serving(log) { harness, server in
            let lie: WatcherHarness.Lie = { request, log in
                guard request.method == "POST" else { return nil }
                let posts = server.requests.filter { $0.method == "POST" }.count
                if posts <= count { return reply(log, request.body) }
                harness.change { if !$0.leaves.contains(request.body) { $0.leaves.append(request.body) } }
                let log = harness.log
                return .respond(201, body: log.receipt(log.leaves.count - 1))
            }
            harness.tell(lie)
            let watcher = try Watcher(configuration: harness.configuration(server))
            defer { watcher.shutdown() }
            let submitter = Submitter(watcher: watcher, deadline: deadline)
            let body = TwinCreateBody(keys: TwinKeys(owner: [key.publicKey]))
            return try await submitter.submit(.twinCreate(body), account: nil, key: key)
        }
    }

    @Test("sends the same envelope again after failures that pass")
    func retries() async throws {
        #expect(try await submit(count: 3) { _, _ in .respond(500) }.index == 3)
        #expect(try await submit(count: 2) { _, _ in .close }.code == .ok)
    }

    @Test("does not believe a receipt of another entry, of another log, or none")
    func receipts() async throws {
        await #expect {
            try await submit { log, _ in .respond(201, body: log.receipt(1)) }
        } throws: { ($0 as? LedgerRefusal)?.code == "entries.mismatch" }
        await #expect {
            try await submit { _, body in
                var other = TestLog(seed: 9)
                other.leaves.append(body)
                return .respond(201, body: other.receipt(1))
            }
        } throws: { ($0 as? LedgerRefusal)?.code == "checkpoint.signature" }
        await #expect(throws: LedgerRefusal.self) {
            try await submit { _, _ in .respond(201, body: Array("ok".utf8)) }
        }
    }

    @Test("does not say ok before the log shows the entry, although the receipt is valid")
    func receiptWithoutLog() async throws {
        await #expect {
            try await submit(deadline: .seconds(1)) { log, body in
                var hidden = log
                hidden.leaves.append(body)
                return .respond(201, body: hidden.receipt(3))
            }
        } throws: { ($0 as? LedgerRefusal)?.code == "withholding" }
    }

    @Test("passes the server's code and expectation on, and bounds what it believes of the sequence")
    func problem() async throws {
        let document =
            #"{"type":"urn:webgw:problem:quota.exceeded","code":"quota.exceeded","status":422,"title":"full"}"#
        await #expect {
            try await submit { _, _ in .respond(422, body: Array(document.utf8)) }
        } throws: {
            let refusal = $0 as? SubmissionRefusal
            return refusal?.code == "quota.exceeded" && refusal?.message == "full"
        }
        let escape = #"{"code":"name.taken","title":"\u001b[2Jgone"}"#
        await #expect {
            try await submit { _, _ in .respond(409, body: Array(escape.utf8)) }
        } throws: { ($0 as? SubmissionRefusal)?.message == " [2Jgone" }
        let endless = LyingServer.Reply.endless(422, chunk: [UInt8](repeating: 0x20, count: 65536))
        await #expect(throws: LedgerRefusal.self) { try await submit(deadline: .seconds(1)) { _, _ in endless } }
    }
}
