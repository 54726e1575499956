import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("Watcher, peers and witnesses")
struct WatcherGossipTests {
    /// A log in which two entries of the honest one are swapped.
    private static func fork(of log: TestLog) -> TestLog {
        var other = log
        other.leaves.swapAt(2, 3)
        return other
    }

    private static func path(_ log: TestLog) -> String {
        "/\(Digest.sha256(Array(log.origin.utf8)).hex)/checkpoint"
    }

    /// Shows one checkpoint, and takes evidence.
    private static func observer(
        _ path: String,
        evidence: LyingServer.Reply = .respond(200),
        _ note: @escaping @Sendable () -> [UInt8]?
    ) -> LyingServer.Answer {
        { request in
            if request.method == "POST", request.path == "/evidence" { return evidence }
            guard request.path == path, let note = note() else { return .respond(404) }
            return .respond(200, body: note)
        }
    }

    private static func isForked(_ state: VerifiedState) -> Bool {
        if case .halted(.checkpointFork, _) = state.condition { return true }
        return false
    }

    @Test(
        "halts at a fork that only a witness shows, and tells peers, witnesses and auditors with evidence that verifies"
    )
    func forkAtWitness() async throws {
        var log = TestLog()
        log.grow(to: 6)
        let other = Self.fork(of: log)
        // A witness that shows a checkpoint has the ledger's line and its own only: no quorum.
        let witness = Self.observer(Self.path(log)) { [other] in other.checkpoint(5, isCosigned: false) }
        // The auditor is out of service at first, and is told all the same.
        let attempts = NIOLockedValueBox(0)
        let auditor: LyingServer.Answer = { _ in
            .respond(
                attempts.withLockedValue { count in
                    count += 1
                    return count < 3 ? 503 : 200
                }
            )
        }
        try await WatcherHarness.serving(log) { harness, server in
            try await LyingServer.serving(witness) { witness in
                try await LyingServer.serving(auditor) { auditor in
                    var configuration = harness.configuration(server)
                    configuration.witnesses = [witness.url]
                    configuration.auditors = [auditor.url]
                    try await harness.following(configuration) { watcher in
                        let state = try #require(await watcher.state(where: Self.isForked))
                        #expect(state.root == log.root())
                        #expect(await comesTrue { attempts.withLockedValue { $0 } >= 3 })
                        #expect(await comesTrue { witness.requests.contains { $0.method == "POST" } })
                        let told = try #require(witness.requests.first { $0.method == "POST" })
                        let evidence = try ForkEvidence(parsing: told.body)
                        #expect(evidence.verify(keyChain: KeyChain([log.ledgerVKey])) == .ok)
                    }
                }
            }
        }
    }

    @Test("remembers a larger checkpoint of a witness, and halts when the log does not go through it")
    func claim() async throws {
        var log = TestLog()
        log.grow(to: 4)
        var later = log
        later.grow(to: 6, from: 7)
        let witness = Self.observer(Self.path(log)) { [later] in later.checkpoint(6, isCosigned: false) }
        try await WatcherHarness.serving(log) { harness, server in
            try await LyingServer.serving(witness) { witness in
                var configuration = harness.configuration(server)
                configuration.witnesses = [witness.url]
                try await harness.following(configuration) { watcher in
                    _ = try #require(await watcher.state { $0.size == 4 })
                    #expect(await comesTrue { witness.requests.count >= 2 })
                    #expect(watcher.latest?.condition == .normal)
                    harness.change { $0.grow(to: 8) }
                    let state = try #require(await watcher.state(where: Self.isForked))
                    #expect(state.size == 4)
                }
            }
            let evidence = try #require(try harness.evidence().first)
            #expect(evidence.verify(keyChain: KeyChain([log.ledgerVKey])) == .ok)
            #expect(evidence.a.size == 6 && evidence.b.size == 8)
        }
    }

    @Test("follows a checkpoint that the ledger holds back and a peer has, with the entries of a mirror")
    func frozenLedger() async throws {
        var log = TestLog()
        log.grow(to: 4)
        var later = log
        later.grow(to: 7)
        let (peer, mirror): (LyingServer.Answer, LyingServer.Answer) = (
            Self.observer(Self.path(log)) { [later] in later.checkpoint() },
            { [later] in $0.path == "/checkpoint" ? .respond(503) : later.answer($0) }
        )
        try await WatcherHarness.serving(log) { harness, server in
            try await LyingServer.serving(peer) { peer in
                try await LyingServer.serving(mirror) { mirror in
                    var configuration = harness.configuration(server)
                    configuration.peers = [peer.url]
                    configuration.urls.append(mirror.url)
                    try await harness.following(configuration) { watcher in
                        #expect(await watcher.state { $0.size == 7 }?.root == later.root())
                    }
                }
            }
        }
    }

    static let nonsense: [LyingServer.Reply] = [
        .respond(200, body: Array("no note".utf8)), .silence, .close, .respond(500), .endlessHeader,
        .endless(200, chunk: [UInt8](repeating: 0x41, count: 65_536)),
        .drip(200, body: [UInt8](repeating: 0x41, count: 100), every: .seconds(1)),
        .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n: x\r\n\u{0}\r\n\r\n".utf8)),
    ]

    @Test("is not held up by a peer that talks nonsense", arguments: nonsense.indices)
    func undisturbed(index: Int) async throws {
        let reply = Self.nonsense[index]
        try await WatcherHarness.serving(TestLog()) { harness, server in
            try await LyingServer.serving(reply) { peer in
                var configuration = harness.configuration(server)
                configuration.peers = [peer.url]
                try await harness.following(configuration) { watcher in
                    _ = try #require(await watcher.state { $0.size == 1 })
                    #expect(await comesTrue { !peer.requests.isEmpty })
                    for size in 2...4 {
                        harness.change { $0.grow(to: size) }
                        #expect(await watcher.state { $0.size == size }?.condition == .normal)
                    }
                }
            }
        }
    }

    @Test("judges evidence from elsewhere: halts when it is proven for this ledger, and only then")
    func received() async throws {
        var log = TestLog()
        log.grow(to: 6)
        let other = Self.fork(of: log)
        let proven = ForkEvidence(
            a: try Checkpoint(parsing: log.checkpoint(6)),
            b: try Checkpoint(parsing: other.checkpoint(6)),
            prefixRoot: other.root(6),
            proof: []
        )
        let foreign = TestLog(seed: 2, origin: "log.example/two")
        let stranger = ForkEvidence(
            a: try Checkpoint(parsing: log.checkpoint(6, by: TestLog.key(9, 9))),
            b: try Checkpoint(parsing: other.checkpoint(6, by: TestLog.key(9, 9))),
            prefixRoot: other.root(6),
            proof: []
        )
        let elsewhere = ForkEvidence(
            a: try Checkpoint(parsing: foreign.checkpoint()),
            b: try Checkpoint(parsing: foreign.checkpoint(root: .sha256([1]))),
            prefixRoot: .sha256([1]),
            proof: []
        )
        try await WatcherHarness.serving(log) { harness, server in
            let configuration = harness.configuration(server)
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.size == 6 })
                #expect(try await watcher.receive(evidence: Array("{}".utf8)) == .invalid)
                #expect(try await watcher.receive(evidence: stranger.bytes) == .invalid)
                #expect(try await watcher.receive(evidence: elsewhere.bytes) == .otherLedger)
                #expect(watcher.latest?.condition == .normal)
                #expect(try harness.evidence().isEmpty)
                // A file in the inbox is evidence like any other.
                let inbox = "\(harness.directory)/\(Watcher.inbox)"
                try FileManager.default.createDirectory(atPath: inbox, withIntermediateDirectories: true)
                let draft = "\(inbox)/a.part"
                try Data(proven.bytes).write(to: URL(fileURLWithPath: draft))
                try FileManager.default.moveItem(atPath: draft, toPath: "\(inbox)/a.json")
                _ = try #require(await watcher.state(where: Self.isForked))
                #expect(try await watcher.receive(evidence: proven.bytes) == .proven(proven.digest))
            }
            #expect(try harness.evidence().map(\.digest) == [proven.digest])
            try await harness.following(configuration) { watcher in
                let state = try #require(await watcher.state { _ in true })
                #expect(Self.isForked(state))
            }
        }
    }
}

extension WatcherHarness {
    /// The evidence that is kept in the state directory.
    func evidence() throws -> [ForkEvidence] {
        try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasPrefix("fork-") }.sorted().map {
            try ForkEvidence(parsing: Array(try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\($0)"))))
        }
    }
}

/// Waits until something is so; false when the time is over.
func comesTrue(within limit: Duration = .seconds(30), _ claim: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if await claim() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return await claim()
}
