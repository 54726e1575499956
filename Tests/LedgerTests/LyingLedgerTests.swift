import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// A lie: what the server says instead of the truth, and what the watcher must say to it.
struct Lie: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let code: String
    /// Whether the node follows no further, also after the server is honest again.
    let isHalt: Bool
    /// Deadline of a request, for the lie that is told slowly.
    let deadline: Duration?
    let reply: WatcherHarness.Lie

    init(
        _ name: String,
        _ code: String,
        isHalt: Bool = false,
        deadline: Duration? = nil,
        _ reply: @escaping WatcherHarness.Lie
    ) {
        testDescription = name
        self.code = code
        self.isHalt = isHalt
        self.deadline = deadline
        self.reply = reply
    }

    static func checkpoint(
        _ name: String,
        _ code: String,
        isHalt: Bool = false,
        _ note: @escaping @Sendable (TestLog) -> [UInt8]
    ) -> Lie {
        let reply: WatcherHarness.Lie = { request, log in
            request.path == "/checkpoint" ? .respond(200, body: note(log)) : nil
        }
        return Lie(name, code, isHalt: isHalt, reply)
    }

    static func bundle(
        _ name: String,
        _ code: String,
        _ reply: @escaping @Sendable ([[UInt8]]) -> LyingServer.Reply
    ) -> Lie {
        let lie: WatcherHarness.Lie = { request, log in
            request.path.hasPrefix("/tile/entries/") ? reply(log.leaves) : nil
        }
        return Lie(name, code, lie)
    }

    static func any(
        _ name: String,
        _ code: String,
        deadline: Duration? = nil,
        _ reply: LyingServer.Reply
    ) -> Lie {
        let lie: WatcherHarness.Lie = { _, _ in reply }
        return Lie(name, code, deadline: deadline, lie)
    }

    /// Serves another log altogether, signed with the ledger's own keys.
    static func otherHistory(_ name: String, _ other: @escaping @Sendable (TestLog) -> TestLog) -> Lie {
        let lie: WatcherHarness.Lie = { request, log in other(log).answer(request) }
        return Lie(name, "checkpoint.fork", isHalt: true, lie)
    }
}

@Suite("Watcher against a lying ledger")
struct LyingLedgerTests {
    /// Entries verified before the lie, and entries of the honest log during it.
    private static let (trusted, grown) = (5, 8)

    static let lies: [Lie] = [
        .checkpoint("forged ledger signature", "checkpoint.signature") { log in
            log.checkpoint(root: .sha256([1])).replacingSignature(with: log.checkpoint())
        },
        .checkpoint("forged cosignature", "checkpoint.signature") { log in
            flipLastSignatureByte(log.checkpoint())
        },
        .checkpoint("key that the ledger never had", "checkpoint.signature") { log in
            log.checkpoint(by: TestLog.key(9, 9))
        },
        .checkpoint("no cosignature", "checkpoint.quorum") { $0.checkpoint(isCosigned: false) },
        .checkpoint("cosignature from the future", "checkpoint.quorum") { $0.checkpoint(at: TestLog.start + 301) },
        .checkpoint("other origin", "checkpoint.origin") { $0.checkpoint(origin: "log.example/two") },
        .checkpoint("not a note", "note.malformed") { _ in Array("<html>It works!</html>\n".utf8) },
        .checkpoint("empty answer", "note.malformed") { _ in [] },
        .checkpoint("rolled back", "checkpoint.stale") { $0.checkpoint(trusted - 2) },
        .checkpoint("equal size, other root", "checkpoint.fork", isHalt: true) { log in
            log.checkpoint(trusted, root: .sha256([2]))
        },
        .checkpoint("smaller size, other root", "checkpoint.fork", isHalt: true) { log in
            log.checkpoint(trusted - 1, root: .sha256([3]))
        },
        .otherHistory("larger size over another prefix") { log in
            var other = log
            other.leaves.swapAt(trusted - 2, trusted - 1)
            return other
        },
        .checkpoint("larger size, root of nothing", "entries.mismatch") { log in
            log.checkpoint(grown, root: .sha256([4]))
        },
        .bundle("one bit of an entry flipped", "entries.mismatch") { leaves in
            var leaves = leaves
            leaves[grown - 1][40] ^= 1
            return .respond(200, body: EntryBundle.encode(leaves))
        },
        .bundle("entries reordered", "entries.mismatch") { leaves in
            var leaves = leaves
            leaves.swapAt(grown - 1, grown - 2)
            return .respond(200, body: EntryBundle.encode(leaves))
        },
        .bundle("bundle truncated", "entries.mismatch") { leaves in
            .respond(200, body: EntryBundle.encode(leaves.dropLast()))
        },
        .bundle("bundle cut within an entry", "entries.mismatch") { leaves in
            .respond(200, body: Array(EntryBundle.encode(leaves).dropLast(3)))
        },
        .bundle("entries withheld", "withholding") { _ in .respond(404) },
        .bundle("endless bundle", "withholding") { _ in .endless(200, chunk: [UInt8](repeating: 0, count: 65536)) },
        .any("endless body", "client.too_large", .endless(200, chunk: [UInt8](repeating: 0x41, count: 65536))),
        .any(
            "slow drip",
            "client.timeout",
            deadline: .seconds(1),
            .drip(200, body: [UInt8](repeating: 0x41, count: 60), every: .milliseconds(100))
        ),
        .any("internal errors", "client.status", .respond(500)),
        .any("redirect", "client.redirect", .respond(302, headers: [("Location", "http://127.0.0.1:9/")])),
        .any("closed connections", "client.unreachable", .close),
    ]

    @Test("refuses the lie with its code, publishes nothing of it, and follows an honest server again", arguments: lies)
    func refuses(lie: Lie) async throws {
        var log = TestLog()
        log.grow(to: Self.trusted)
        try await WatcherHarness.serving(log) { harness, server in
            var configuration = harness.configuration(server)
            // Plain polls, so that a checkpoint that is not larger is shown, too.
            configuration.longPoll = 0
            if let deadline = lie.deadline { configuration.limits.deadline = deadline }
            try await harness.following(configuration) { watcher in
                let honest = try #require(await watcher.state { $0.size == Self.trusted })
                harness.tell(lie.reply)
                harness.change { $0.grow(to: Self.grown) }
                let refusal = try #require(await harness.refusal(lie.code))
                #expect(!refusal.message.isEmpty)
                #expect(watcher.latest?.size == honest.size)
                #expect(watcher.latest?.root == honest.root)
                harness.tell(nil)
                guard lie.isHalt else {
                    let state = try #require(await watcher.state { $0.size == Self.grown })
                    #expect(state.root == harness.log.root())
                    #expect(state.condition == .normal)
                    return
                }
                let state = try #require(await watcher.state { $0.condition != .normal })
                #expect(state.size == honest.size)
                guard case .halted(.checkpointFork, _) = state.condition else {
                    Issue.record("not halted: \(state.condition)")
                    return
                }
            }
            if lie.isHalt { try await expectDurableHalt(harness, configuration) }
        }
    }

    /// The halt survives a restart, the last verified state is served, and the evidence proves itself.
    private func expectDurableHalt(_ harness: WatcherHarness, _ configuration: WatcherConfiguration) async throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: harness.directory)
        let name = try #require(files.first { $0.hasPrefix("fork-") })
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(harness.directory)/\(name)"))
        let evidence = try ForkEvidence(parsing: Array(bytes))
        #expect(evidence.verify(keyChain: KeyChain([harness.log.ledgerVKey])) == .ok)
        try await harness.following(configuration) { watcher in
            let state = try #require(await watcher.state { _ in true })
            #expect(state.size == Self.trusted)
            guard case .halted(.checkpointFork, _) = state.condition else {
                Issue.record("not halted after a restart: \(state.condition)")
                return
            }
        }
        let watcher = try Watcher(configuration: configuration)
        defer { watcher.shutdown() }
        await #expect { try await watcher.catchUp() } throws: { ($0 as? LedgerRefusal)?.code == "checkpoint.fork" }
    }

    @Test("halts for keys that nobody knows and goes on when a known key signs again")
    func unknownKeys() async throws {
        var log = TestLog()
        log.grow(to: 3)
        try await WatcherHarness.serving(log) { harness, server in
            try await harness.following(harness.configuration(server)) { watcher in
                _ = try #require(await watcher.state { $0.size == 3 })
                let lie = Lie.checkpoint("", "") { $0.checkpoint(by: TestLog.key(9, 9)) }
                harness.tell(lie.reply)
                harness.change { $0.grow(to: 4) }
                let halted = try #require(await watcher.state { $0.condition != .normal })
                guard case .halted(.checkpointSignature, _) = halted.condition else {
                    Issue.record("not halted: \(halted.condition)")
                    return
                }
                #expect(halted.size == 3)
                harness.tell(nil)
                let state = try #require(await watcher.state { $0.condition == .normal })
                #expect(state.size == 4)
            }
        }
    }

    @Test("refuses a log that does not begin with the pinned genesis")
    func otherGenesis() async throws {
        let (pinned, other) = (TestLog(seed: 1), TestLog(seed: 2))
        try await WatcherHarness.serving(pinned) { harness, server in
            let lie: WatcherHarness.Lie = { request, _ in other.answer(request) }
            harness.tell(lie)
            let watcher = try Watcher(configuration: harness.configuration(server))
            defer { watcher.shutdown() }
            await #expect { try await watcher.catchUp() } throws: { ($0 as? LedgerRefusal)?.code == "entries.mismatch" }
            #expect(watcher.latest == nil)
        }
    }

    @Test("halts at a tick far ahead of the quorum time and applies nothing of its batch")
    func timeJump() async throws {
        var log = TestLog()
        log.grow(to: 3)
        try await WatcherHarness.serving(log) { harness, server in
            let configuration = harness.configuration(server)
            try await harness.following(configuration) { watcher in
                let honest = try #require(await watcher.state { $0.size == 3 })
                harness.change {
                    $0.grow(to: 4)
                    $0.appendTick(TestLog.start + 301)
                }
                let state = try #require(await watcher.state { $0.condition != .normal })
                guard case .halted(.timeJump, _) = state.condition else {
                    Issue.record("not halted: \(state.condition)")
                    return
                }
                #expect(state.size == 3)
                #expect(state.root == honest.root)
            }
        }
    }
}

/// The note with the last byte of its last signature changed.
private func flipLastSignatureByte(_ note: [UInt8]) -> [UInt8] {
    guard let parsed = try? SignedNote(parsing: note), let last = parsed.signatures.last else { return [] }
    var blob = last.blob
    blob[blob.count - 1] ^= 1
    let forged = SignedNote.Signature(name: last.name, hash: last.hash, blob: blob)
    return SignedNote(text: parsed.text, signatures: parsed.signatures.dropLast() + [forged]).bytes
}

extension [UInt8] {
    /// The text of this note over the signatures of another.
    fileprivate func replacingSignature(with other: [UInt8]) -> [UInt8] {
        guard let text = try? SignedNote(parsing: self), let donor = try? SignedNote(parsing: other) else { return [] }
        return SignedNote(text: text.text, signatures: donor.signatures).bytes
    }
}
