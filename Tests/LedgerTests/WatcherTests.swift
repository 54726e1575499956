import Contracts
import Ledger
import TestSupport
import Testing

@Suite("Watcher")
struct WatcherTests {
    @Test("verifies from the pinned genesis and publishes the state of the whole log")
    func fromGenesis() async throws {
        var log = TestLog()
        let twin = log.appendTwin(TestLog.key(1, 20))
        log.appendTick(TestLog.start + 10)
        try await WatcherHarness.serving(log) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                let state = try #require(await watcher.state { _ in true })
                #expect(state.size == 3)
                #expect(state.root == log.root())
                #expect(state.state.now == TestLog.start + 10)
                #expect(state.state.twin(twin) != nil)
                #expect(state.quorumTime == TestLog.start)
                #expect(state.condition == .normal)
                #expect(harness.codes.isEmpty)
            }
        }
    }

    @Test("publishes a new entry while its long poll is open, long before the poll would end")
    func latency() async throws {
        try await WatcherHarness.serving(TestLog()) { harness, server in
            var configuration = harness.configuration(server)
            configuration.longPoll = 20
            configuration.poll = .seconds(20)
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.size == 1 })
                for size in 2...12 {
                    // The watcher is back in its long poll before the next entry appears.
                    let polls = server.requests.count
                    while !server.requests.dropFirst(polls - 1).contains(where: { $0.query("wait") != nil }) {
                        await Task.yield()
                    }
                    let begin = ContinuousClock.now
                    harness.change { $0.grow(to: size) }
                    _ = try #require(await watcher.state { $0.size == size })
                    // A few milliseconds on an idle machine; the bound is far below the 20 s of the poll.
                    #expect(ContinuousClock.now - begin < .seconds(5))
                }
            }
        }
    }

    @Test("starts from the stored row after a restart, also when no source answers")
    func restart() async throws {
        var log = TestLog()
        log.grow(to: 300)
        try await WatcherHarness.serving(log) { harness, server in
            let configuration = harness.configuration(server)
            let first = try Watcher(configuration: configuration)
            let before = try await first.catchUp()
            first.shutdown()
            harness.tell { _, _ in .close }
            try await harness.following(configuration) { watcher in
                let state = try #require(await watcher.state { _ in true })
                #expect(state.size == before.size)
                #expect(state.root == before.root)
                #expect(state.state.rows.map(\.key) == before.state.rows.map(\.key))
                #expect(state.quorumTime == before.quorumTime)
                harness.tell(nil)
                harness.change { $0.grow(to: 301) }
                #expect(await watcher.state { $0.size == 301 }?.root == harness.log.root())
            }
        }
    }

    @Test("reads a log of many bundles page by page, fetching again what its budget does not hold")
    func budget() async throws {
        var log = TestLog()
        log.grow(to: 900)
        try await WatcherHarness.serving(log) { harness, server in
            var configuration = harness.configuration(server)
            configuration.entryBudget = 150_000
            let watcher = try Watcher(configuration: configuration)
            defer { watcher.shutdown() }
            let state = try await watcher.catchUp()
            #expect(state.size == 900)
            #expect(state.root == log.root())
            let bundles = server.requests.filter { $0.path.hasPrefix("/tile/entries/") }.map(\.path)
            #expect(bundles.count > Set(bundles).count)
            let (code, id) = try #require(try await watcher.outcome(at: 899))
            #expect(code == .ok)
            #expect(id == (try Envelope(leaf: log.leaves[899])).id)
            #expect(try await watcher.outcome(at: 900) == nil)
        }
    }

    @Test("writes the pages of a long log ahead of its step, and a step that failed leaves no trace")
    func pages() async throws {
        var log = TestLog()
        log.leaves += (0..<9000).map { Array("junk \($0)".utf8) }
        try await WatcherHarness.serving(log) { harness, server in
            var configuration = harness.configuration(server)
            configuration.entryBudget = 0
            let watcher = try Watcher(configuration: configuration)
            defer { watcher.shutdown() }
            // The last bundle turns bad when it is read for the second time, after two pages were written.
            harness.tell { request, _ in
                let earlier = server.requests.filter { $0.path == request.path }.count
                guard request.path.hasPrefix("/tile/entries/035"), earlier > 1 else { return nil }
                return .respond(200, body: EntryBundle.encode([[UInt8]](repeating: [], count: 41)))
            }
            await #expect { try await watcher.catchUp() } throws: { ($0 as? LedgerRefusal)?.code == "entries.mismatch" }
            #expect(try await watcher.outcome(at: 0) == nil)
            harness.tell(nil)
            harness.change { $0.grow(to: 9003) }
            #expect(try await watcher.catchUp().root == harness.log.root())
            #expect(try await watcher.outcome(at: 0)?.code == .ok)
            #expect(try await watcher.outcome(at: 9000)?.code == .envelopeNoncanonical)
            #expect(try await watcher.outcome(at: 9002)?.code == .ok)
            // The stored leaf hashes are those of the log: an old size is told from a fork by them.
            harness.tell { request, log in
                request.path == "/checkpoint" ? .respond(200, body: log.checkpoint(5000)) : nil
            }
            await #expect { try await watcher.catchUp() } throws: { ($0 as? LedgerRefusal)?.code == "checkpoint.stale" }
        }
    }

    @Test("refuses a bundle of more entries than a bundle has, without decoding them")
    func manyEmptyEntries() async throws {
        try await WatcherHarness.serving(TestLog()) { harness, server in
            harness.tell { request, _ in
                guard request.path.hasPrefix("/tile/entries/") else { return nil }
                return .respond(200, body: [UInt8](repeating: 0, count: 1_000_000))
            }
            let watcher = try Watcher(configuration: harness.configuration(server))
            defer { watcher.shutdown() }
            await #expect { try await watcher.catchUp() } throws: { ($0 as? LedgerRefusal)?.code == "entries.mismatch" }
        }
    }

    @Test("refuses a bundle that changes between hashing and folding")
    func changingBundle() async throws {
        var log = TestLog()
        log.grow(to: 300)
        try await WatcherHarness.serving(log) { harness, server in
            var configuration = harness.configuration(server)
            configuration.entryBudget = 0
            let watcher = try Watcher(configuration: configuration)
            defer { watcher.shutdown() }
            harness.tell { request, log in
                let earlier = server.requests.filter { $0.path == request.path }.count
                guard request.path.hasPrefix("/tile/entries/001"), earlier > 1 else { return nil }
                return .respond(200, body: EntryBundle.encode(log.leaves.suffix(44).reversed()))
            }
            await #expect { try await watcher.catchUp() } throws: { ($0 as? LedgerRefusal)?.code == "entries.mismatch" }
            #expect(watcher.latest == nil)
            harness.tell(nil)
            #expect(try await watcher.catchUp().size == 300)
        }
    }

    @Test("takes an entry without effect in the log as a coded step")
    func rejectedEntry() async throws {
        var log = TestLog()
        log.leaves.append(Array("junk".utf8))
        log.append(.tick(TickBody(time: TestLog.start + 5)), account: log.ledgerID, key: TestLog.key(1, 77))
        try await WatcherHarness.serving(log) { harness, server in
            let watcher = try Watcher(configuration: harness.configuration(server))
            defer { watcher.shutdown() }
            #expect(try await watcher.catchUp().size == 3)
            #expect(try await watcher.outcome(at: 1)?.code == .envelopeNoncanonical)
            #expect(try await watcher.outcome(at: 2)?.code == .signerUnknown)
        }
    }

    @Test("accepts a ledger without witnesses only in dev mode")
    func quorumNone() async throws {
        try await WatcherHarness.serving(TestLog(isWitnessed: false)) { harness, server in
            do {
                let watcher = try Watcher(configuration: harness.configuration(server))
                defer { watcher.shutdown() }
                await #expect {
                    try await watcher.catchUp()
                } throws: { ($0 as? LedgerRefusal)?.code == "checkpoint.quorum" }
            }
            harness.now = TestLog.start + 50
            let watcher = try Watcher(configuration: harness.configuration(server, isDev: true))
            defer { watcher.shutdown() }
            #expect(try await watcher.catchUp().quorumTime == TestLog.start + 50)
            harness.now = TestLog.start + 90
            #expect(try await watcher.catchUp().quorumTime == TestLog.start + 90)
        }
    }

    @Test("calls the state stale by the clock, and normal again after fresh cosignatures of an idle ledger")
    func freshness() async throws {
        try await WatcherHarness.serving(TestLog()) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.condition == .normal })
                harness.tell { _, _ in .respond(503) }
                harness.now = TestLog.start + 121
                let stale = try #require(await watcher.state { $0.condition != .normal })
                #expect(stale.condition == .stale(age: 121))
                #expect(stale.size == 1)
                harness.tell(nil)
                let fresh = try #require(await watcher.state { $0.condition == .normal })
                #expect(fresh.quorumTime == TestLog.start + 121)
            }
        }
    }

    @Test("follows the new witnesses after policy.set, and demands the new quorum from that very batch on")
    func policyChange() async throws {
        var log = TestLog()
        log.grow(to: 2)
        let newWitness = TestLog.key(1, 44)
        let vkey = VerifierKey(name: "new.example", type: VerifierKey.cosignatureType, key: newWitness.publicKey)
        try await WatcherHarness.serving(log) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 2 })
                let change = PolicySetBody(
                    auditorQuorum: 0,
                    auditors: [],
                    billing: [],
                    policy: TestLog.policy(vkey),
                    version: 2
                )
                harness.change { $0.append(.policySet(change), account: $0.ledgerID, key: $0.rootKey) }
                // The old witness alone cosigned.
                _ = try #require(await harness.refusal("checkpoint.quorum"))
                #expect(watcher.latest?.size == 2)
                harness.tell { request, log in
                    guard request.path == "/checkpoint", let note = try? SignedNote(parsing: log.checkpoint()) else {
                        return nil
                    }
                    let time = UInt64(TestLog.start)
                    let line = Cosignature.sign(text: note.text, time: time, with: newWitness, as: vkey)
                    return .respond(200, body: SignedNote(text: note.text, signatures: note.signatures + [line]).bytes)
                }
                let state = try #require(await watcher.state { $0.size == 3 })
                #expect(state.state.policy == TestLog.policy(vkey))
            }
        }
    }

    @Test("takes the entries from a mirror when the ledger withholds them")
    func mirror() async throws {
        var log = TestLog()
        log.grow(to: 4)
        let answer: LyingServer.Answer = { [log] in log.answer($0) }
        try await WatcherHarness.serving(log) { harness, server in
            try await LyingServer.serving(answer) { mirror in
                var configuration = harness.configuration(server)
                configuration.urls.append(mirror.url)
                harness.tell { request, _ in request.path.hasPrefix("/tile/") ? .respond(404) : nil }
                let watcher = try Watcher(configuration: configuration)
                defer { watcher.shutdown() }
                harness.tell { request, _ in request.path.hasPrefix("/tile/entries/000.p/4") ? .respond(404) : nil }
                #expect(try await watcher.catchUp().size == 4)
                #expect(mirror.requests.contains { $0.path == "/tile/entries/000.p/4" })
            }
        }
    }

    @Test("finds a fork that only a mirror shows")
    func forkAtMirror() async throws {
        var log = TestLog()
        log.grow(to: 4)
        var other = log
        other.leaves.swapAt(2, 3)
        let answer: LyingServer.Answer = { [other] in other.answer($0) }
        try await WatcherHarness.serving(log) { harness, server in
            try await LyingServer.serving(answer) { mirror in
                var configuration = harness.configuration(server)
                configuration.urls.append(mirror.url)
                try await harness.following(configuration) { watcher in
                    let state = try #require(await watcher.state { $0.condition != .normal })
                    guard case .halted(.checkpointFork, _) = state.condition else {
                        Issue.record("not halted: \(state.condition)")
                        return
                    }
                    #expect(state.root == log.root())
                }
            }
        }
    }

    @Test("stops at a fold upgrade as unsupported and keeps the state before its batch")
    func upgrade() async throws {
        var log = TestLog()
        let body = ProtocolUpgradeBody(activate: TestLog.start + 86_400, fold: 2, version: 1)
        log.append(.protocolUpgrade(body), account: log.ledgerID, key: log.rootKey)
        try await WatcherHarness.serving(log) { harness, server in
            harness.now = TestLog.start + 86_400
            let configuration = harness.configuration(server)
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.size == 2 })
                harness.change {
                    $0.appendTick(TestLog.start + 86_400)
                    $0.grow(to: 4)
                }
                let state = try #require(await watcher.state { $0.condition != .normal })
                guard case .halted(.unsupported, _) = state.condition else {
                    Issue.record("not halted: \(state.condition)")
                    return
                }
                #expect(state.size == 2)
            }
        }
    }

    @Test("is driven by one task at a time")
    func oneDriver() async throws {
        try await WatcherHarness.serving(TestLog()) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { _ in true })
                await #expect(throws: LedgerRefusal.self) { try await watcher.run() }
                #expect(try await watcher.catchUp().size == 1)
                harness.change { $0.grow(to: 2) }
                #expect(try await watcher.state(reaching: 2, within: .seconds(10)).size == 2)
                await #expect(throws: LedgerRefusal.self) {
                    try await watcher.state(reaching: 9, within: .milliseconds(20))
                }
            }
        }
    }
}
