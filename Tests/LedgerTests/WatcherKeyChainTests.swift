import Contracts
import Ledger
import TestSupport
import Testing

@Suite("Watcher and keys that the ledger changed beyond the trusted size")
struct WatcherKeyChainTests {
    private static let (secondKey, secondRoot) = (TestLog.key(1, 50), TestLog.key(1, 51))

    /// From now on checkpoints carry the signature of this key alone.
    private static func signed(by key: SigningKey) -> WatcherHarness.Lie {
        { request, log in
            guard request.path == "/checkpoint" else { return nil }
            if let after = request.query("after").flatMap({ Int($0) }), log.leaves.count <= after {
                return .respond(204)
            }
            return .respond(200, body: log.checkpoint(by: key))
        }
    }

    @Test("follows a checkpoint that only a new key signed, when the key chain leads to it and stands in the log")
    func rotation() async throws {
        var log = TestLog()
        log.grow(to: 3)
        try await WatcherHarness.serving(log) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 3 })
                harness.tell(Self.signed(by: Self.secondKey))
                harness.change {
                    let rotation = RootRotateBody(root: Quorum([Self.secondRoot.publicKey]), version: 2)
                    $0.append(
                        .rootRotate(rotation),
                        account: $0.ledgerID,
                        key: $0.rootKey,
                        cosigners: [Self.secondRoot]
                    )
                    $0.grow(to: 6)
                    $0.changeLedgerKey(to: Self.secondKey, version: 2, root: Self.secondRoot)
                    $0.grow(to: 9)
                }
                let state = try #require(await watcher.state { $0.size == 9 })
                #expect(state.condition == .normal)
                #expect(state.state.ledgerKeys.map(\.key) == [Self.secondKey.publicKey])
                #expect(server.requests.map(\.path).filter { $0.hasPrefix("/keyset/") } == ["/keyset/1", "/keyset/2"])
            }
        }
    }

    @Test("starts from the pinned genesis although its ledger keys are gone since long")
    func firstStart() async throws {
        var log = TestLog()
        for version in 2...12 {
            log.changeLedgerKey(to: TestLog.key(2, UInt8(version)), version: Int64(version))
            log.grow(to: log.leaves.count + 1)
        }
        try await WatcherHarness.serving(log) { harness, server in
            harness.tell(Self.signed(by: TestLog.key(2, 12)))
            let watcher = try Watcher(configuration: harness.configuration(server))
            defer { watcher.shutdown() }
            #expect(try await watcher.catchUp().root == log.root())
        }
    }

    @Test("applies nothing of a key change that the root keys signed and the log does not have")
    func notInLog() async throws {
        var log = TestLog()
        log.grow(to: 3)
        var other = log
        other.changeLedgerKey(to: Self.secondKey, version: 2)
        let shown = other.leaves[3]
        try await WatcherHarness.serving(log) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 3 })
                harness.tell { request, log in
                    if request.path == "/keyset/1" { return .respond(200, body: shown) }
                    return Self.signed(by: Self.secondKey)(request, log)
                }
                harness.change { $0.grow(to: 5) }
                let refusal = try #require(await harness.refusal("checkpoint.signature"))
                #expect(refusal.message.contains("is not in its log"))
                #expect(watcher.latest?.size == 3)
                harness.tell(nil)
                #expect(await watcher.state { $0.size == 5 }?.condition == .normal)
            }
        }
    }

    static let forgeries: [(name: String, leaf: @Sendable (TestLog) -> [UInt8])] = [
        (
            "signed by another root",
            { log in
                var log = log
                log.changeLedgerKey(to: secondKey, version: 2, root: TestLog.key(9, 9))
                return log.leaves[log.leaves.count - 1]
            }
        ),
        (
            "of a version that is not the next",
            { log in
                var log = log
                log.changeLedgerKey(to: secondKey, version: 3)
                return log.leaves[log.leaves.count - 1]
            }
        ),
        ("of another type", { $0.leaves[1] }),
        ("not an entry", { _ in Array("{}".utf8) }),
    ]

    @Test("does not believe a key chain with an entry that is forged or out of place", arguments: forgeries.indices)
    func forged(index: Int) async throws {
        let forgery = Self.forgeries[index]
        var log = TestLog()
        log.grow(to: 3)
        try await WatcherHarness.serving(log) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 3 })
                harness.tell { request, log in
                    if request.path == "/keyset/1" { return .respond(200, body: forgery.leaf(log)) }
                    return Self.signed(by: Self.secondKey)(request, log)
                }
                harness.change { $0.grow(to: 5) }
                _ = try #require(await harness.refusal("checkpoint.signature"), "\(forgery.name)")
                #expect(watcher.latest?.size == 3)
            }
        }
    }
}

@Suite("Watcher with a pinned checkpoint")
struct WatcherPinnedStartTests {
    @Test("starts when the log goes through it")
    func prefix() async throws {
        var log = TestLog()
        log.grow(to: 9)
        try await WatcherHarness.serving(log) { harness, server in
            var configuration = harness.configuration(server)
            configuration.startCheckpoint = log.checkpoint(5)
            let watcher = try Watcher(configuration: configuration)
            defer { watcher.shutdown() }
            #expect(try await watcher.catchUp().size == 9)
        }
    }

    static let refused: [(name: String, code: String, note: @Sendable (TestLog) -> [UInt8])] = [
        ("another history", "checkpoint.fork", { $0.checkpoint(5, root: .sha256([1])) }),
        ("larger than what is served", "checkpoint.stale", { $0.checkpoint(10, root: .sha256([1])) }),
        ("older than 14 days", "checkpoint.stale", { $0.checkpoint(5, at: TestLog.start - 1_209_601) }),
        ("without quorum", "checkpoint.quorum", { $0.checkpoint(5, isCosigned: false) }),
        ("no checkpoint", "note.malformed", { _ in Array("x".utf8) }),
    ]

    @Test("refuses to start", arguments: refused.indices)
    func refuses(index: Int) async throws {
        let (name, code, note) = Self.refused[index]
        var log = TestLog()
        log.grow(to: 9)
        try await WatcherHarness.serving(log) { harness, server in
            var configuration = harness.configuration(server)
            configuration.startCheckpoint = note(log)
            let watcher = try Watcher(configuration: configuration)
            defer { watcher.shutdown() }
            await #expect("\(name)") {
                try await watcher.catchUp()
            } throws: { ($0 as? LedgerRefusal)?.code == code }
            #expect(watcher.latest == nil)
        }
    }
}
