import Contracts
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("Alarms of the watcher")
struct WatcherAlarmTests {
    @Test("counts age by the monotonic clock when the wall clock is set back, and extends nothing")
    func clockSetBack() async throws {
        let passed = NIOLockedValueBox(Duration.zero)
        try await WatcherHarness.serving(TestLog()) { harness, server in
            var configuration = harness.configuration(server)
            configuration.monotonic = { passed.withLockedValue { $0 } }
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.condition == .normal })
                harness.tell { _, _ in .respond(503) }
                // Ten minutes pass, in which somebody sets the clock back by a day.
                harness.now = TestLog.start - 86_400
                passed.withLockedValue { $0 = .seconds(600) }
                let state = try #require(await watcher.state { $0.condition != .normal })
                #expect(state.condition == .stale(age: 600))
                #expect(state.clockLag == 87_000)
                passed.withLockedValue { $0 = .seconds(901) }
                _ = try #require(await watcher.state { $0.alarms.map(\.code) == [.ledgerStale] })
            }
        }
    }

    @Test("raises clock.skew when a quorum of witnesses is more than 300 s ahead, and lowers it when the clock is set")
    func clockBehind() async throws {
        try await WatcherHarness.serving(TestLog()) { harness, server in
            var configuration = harness.configuration(server)
            configuration.longPoll = 0
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.condition == .normal })
                harness.tell { request, log in
                    request.path == "/checkpoint" ? .respond(200, body: log.checkpoint(at: TestLog.start + 400)) : nil
                }
                _ = try #require(await watcher.state { $0.alarms.map(\.code) == [.clockSkew] })
                #expect(watcher.latest?.quorumTime == TestLog.start)
                harness.now = TestLog.start + 401
                // A heartbeat may show the alarm as over before the time that ended it is stored.
                let later = TestLog.start + 400
                #expect(await watcher.state { $0.alarms.isEmpty && $0.quorumTime == later } != nil)
            }
        }
    }

    @Test("raises withholding behind a valid checkpoint, and lowers it when the entries are there")
    func withholding() async throws {
        var log = TestLog()
        log.grow(to: 2)
        try await WatcherHarness.serving(log) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 2 })
                harness.tell { request, _ in request.path.hasPrefix("/tile/") ? .respond(404) : nil }
                harness.change { $0.grow(to: 4) }
                _ = try #require(await watcher.state { $0.alarms.map(\.code) == [.withholding] })
                harness.tell(nil)
                #expect(await watcher.state { $0.size == 4 }?.alarms == [])
            }
        }
    }

    /// A log whose auditor attests the state at `size`, with another root if asked to lie.
    private static func attesting(at size: Int, isTrue: Bool) -> TestLog {
        var log = TestLog()
        let key = TestLog.key(1, 60)
        let twin = log.appendTwin(key)
        let vkey = VerifierKey(name: "auditor.example", type: VerifierKey.noteType, key: key.publicKey)
        let policy = PolicySetBody(
            auditorQuorum: 1,
            auditors: [Auditor(twin: twin, key: vkey)],
            billing: [],
            policy: TestLog.policy(log.witnessVKey),
            version: 2
        )
        log.append(.policySet(policy), account: log.ledgerID, key: log.rootKey)
        log.grow(to: 7)
        var state = ContractState()
        for leaf in log.leaves.prefix(size) { _ = state.fold(leaf) }
        let attestation = Attestation(
            outcomeRoot: state.outcomeRoot,
            root: log.root(size),
            size: Int64(size),
            stateRoot: isTrue ? state.stateRoot() : .sha256([1])
        )
        log.append(.stateAttest(attestation), account: twin, key: key, sequence: 1)
        return log
    }

    @Test(
        "raises state.divergence, durably, when an auditor attests another state than was computed here",
        arguments: [5, 7],
        [true, false]
    )
    func divergence(size: Int, isTrue: Bool) async throws {
        let log = Self.attesting(at: size, isTrue: isTrue)
        var start = log
        start.leaves = Array(log.leaves.prefix(7))
        try await WatcherHarness.serving(size == 7 ? start : log) { harness, server in
            let configuration = harness.configuration(server)
            // Once in one batch with the attestation, once passed before it.
            try await harness.following(configuration) { watcher in
                if size == 7 {
                    _ = try #require(await watcher.state { $0.size == 7 })
                    harness.log = log
                }
                let state = try #require(await watcher.state { $0.size == 8 && (isTrue || !$0.alarms.isEmpty) })
                #expect(state.alarms.map(\.code) == (isTrue ? [] : [.stateDivergence]))
                #expect(state.condition == .normal)
                #expect(try await watcher.outcome(at: 7)?.code == .ok)
            }
            let watcher = try Watcher(configuration: configuration)
            defer { watcher.shutdown() }
            #expect(try await watcher.catchUp().alarms.map(\.code) == (isTrue ? [] : [.stateDivergence]))
        }
    }

    @Test(
        "compares log and outcomes of an attested size that no step ended at",
        arguments: ["true", "root", "outcomes"]
    )
    func unkeptSize(_ kind: String) async throws {
        var log = Self.attesting(at: 7, isTrue: true)
        log.leaves.removeLast()
        let start = log
        var state = ContractState()
        for leaf in log.leaves.prefix(5) { _ = state.fold(leaf) }
        let attestation = Attestation(
            outcomeRoot: kind == "outcomes" ? .sha256([1]) : state.outcomeRoot,
            root: kind == "root" ? .sha256([1]) : log.root(5),
            size: 5,
            stateRoot: state.stateRoot()
        )
        let twin = try #require(ParsedEntry(leaf: log.leaves[1]).id)
        log.append(.stateAttest(attestation), account: twin, key: TestLog.key(1, 60), sequence: 1)
        try await WatcherHarness.serving(start) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 7 })
                harness.log = log
                let state = try #require(await watcher.state { $0.size == 8 && (kind == "true" || !$0.alarms.isEmpty) })
                #expect(state.alarms.map(\.code) == (kind == "true" ? [] : [.stateDivergence]))
                #expect(try await watcher.outcome(at: 7)?.code == .ok)
            }
        }
    }

    @Test(
        "raises state.divergence for a state note of an auditor that differs, and not for one that agrees or is forged",
        arguments: ["agrees", "differs", "forged"]
    )
    func stateNote(_ kind: String) async throws {
        let log = Self.attesting(at: 5, isTrue: true)
        var state = ContractState()
        for leaf in log.leaves { _ = state.fold(leaf) }
        let note = StateNote(
            origin: log.origin,
            size: 8,
            root: log.root(),
            outcomeRoot: state.outcomeRoot,
            stateRoot: kind == "agrees" ? state.stateRoot() : .sha256([1])
        )
        let key = kind == "forged" ? TestLog.key(9, 9) : TestLog.key(1, 60)
        let vkey = VerifierKey(name: "auditor.example", type: VerifierKey.noteType, key: key.publicKey)
        let manifest = note.signed(by: key, as: vkey)
        try await WatcherHarness.serving(log) { harness, server in
            harness.tell { request, _ in
                switch request.path {
                case "/snapshot/sizes": .respond(200, body: Array("8 attested\n".utf8))
                case "/snapshot/8/manifest": .respond(200, body: manifest)
                default: nil
                }
            }
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 8 })
                if kind == "differs" {
                    _ = try #require(await watcher.state { $0.alarms.map(\.code) == [.stateDivergence] })
                } else {
                    let isRead = await comesTrue { server.requests.count { $0.path == "/snapshot/8/manifest" } > 0 }
                    #expect(isRead)
                    let polls = server.requests.count
                    #expect(await comesTrue { server.requests.count > polls + 5 })
                    #expect(watcher.latest?.alarms == [])
                }
            }
        }
    }
}
