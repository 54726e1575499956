import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

/// A log so long that a watcher proves it by its hash tiles before it fetches a bundle: a short honest one, prolonged by
/// entries that are none, which costs no signatures. Every resource is made once.
struct LongLog: Sendable {
    static let size = 64 * 256 + 1000

    let files: [String: [UInt8]]
    let root: Digest

    /// - Parameter mark: two logs with different marks part after the entries of `log`.
    init(_ log: TestLog, mark: UInt8 = 1, at time: Timestamp = TestLog.start) {
        var leaves = log.leaves
        while leaves.count < Self.size {
            leaves.append([mark, UInt8(truncatingIfNeeded: leaves.count >> 8), UInt8(truncatingIfNeeded: leaves.count)])
        }
        var files: [String: [UInt8]] = [:]
        for path in TilePath.all(.entries, size: UInt64(leaves.count)) {
            let first = Int(path.index) * TilePath.fullWidth
            files["/\(path)"] = EntryBundle.encode(leaves[first..<first + path.width])
        }
        var nodes = leaves.map { MerkleTree.leafHash($0) }
        var range = CompactRange()
        for hash in nodes { range.append(hash) }
        root = range.root
        for level in 0...2 {
            for path in TilePath.all(.hashes(level: level), size: UInt64(leaves.count)) {
                let first = Int(path.index) * TilePath.fullWidth
                files["/\(path)"] = HashTile(Array(nodes[first..<first + path.width])).bytes
            }
            nodes = stride(from: 0, to: nodes.count - nodes.count % 256, by: 256).map {
                HashTile(Array(nodes[$0..<$0 + 256])).root
            }
        }
        files["/checkpoint"] = log.checkpoint(Self.size, root: root, at: time)
        self.files = files
    }

    func answer(_ request: LyingServer.Request) -> LyingServer.Reply {
        files[request.path].map { .respond(200, body: $0) } ?? .respond(404)
    }
}

/// A lie about one file of the long log, and what the watcher says to it.
struct LongLie: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let path: String
    let code: String
    let change: @Sendable (LongLog, [UInt8]) -> LyingServer.Reply

    init(
        _ name: String,
        _ path: String,
        _ code: String,
        _ change: @escaping @Sendable (LongLog, [UInt8]) -> LyingServer.Reply
    ) {
        (testDescription, self.path, self.code, self.change) = (name, path, code, change)
    }

    private static func flipped(_ bytes: [UInt8], at index: Int) -> LyingServer.Reply {
        var bytes = bytes
        bytes[index] ^= 1
        return .respond(200, body: bytes)
    }

    static let all: [LongLie] = [
        LongLie("one bit of the first hash tile", "/tile/0/000", "entries.mismatch") { flipped($1, at: 8191) },
        LongLie("one bit of a hash tile in the middle", "/tile/0/031", "entries.mismatch") { flipped($1, at: 4000) },
        LongLie("one bit of the last hash tile", "/tile/0/067.p/232", "entries.mismatch") { flipped($1, at: 0) },
        LongLie("a hash tile in place of another", "/tile/0/012", "entries.mismatch") { log, _ in
            .respond(200, body: log.files["/tile/0/013"] ?? [])
        },
        LongLie("a hash tile that is one byte short", "/tile/0/020", "withholding") {
            .respond(200, body: Array($1.dropLast()))
        },
        LongLie("a hash tile withheld", "/tile/0/040", "withholding") { _, _ in .respond(404) },
        LongLie("a hash tile without end", "/tile/0/002", "withholding") { _, _ in
            .endless(200, chunk: [UInt8](repeating: 7, count: 65_536))
        },
        LongLie("one bit of a bundle, over honest hash tiles", "/tile/entries/033", "entries.mismatch") {
            flipped($1, at: 700)
        },
        LongLie("a bundle in place of another, over honest hash tiles", "/tile/entries/050", "entries.mismatch") {
            log,
            _ in
            .respond(200, body: log.files["/tile/entries/051"] ?? [])
        },
        LongLie("entries reordered in a bundle, over honest hash tiles", "/tile/entries/010", "entries.mismatch") {
            var leaves = EntryBundle.decode($1) ?? []
            leaves.swapAt(17, 18)
            return .respond(200, body: EntryBundle.encode(leaves))
        },
        LongLie("the last bundle cut, over honest hash tiles", "/tile/entries/067.p/232", "entries.mismatch") {
            .respond(200, body: Array($1.dropLast(5)))
        },
        LongLie("a bundle withheld, over honest hash tiles", "/tile/entries/066", "withholding") { _, _ in
            .respond(404)
        },
        LongLie("a gzip bomb for a bundle, over honest hash tiles", "/tile/entries/005", "withholding") { _, _ in
            .respond(200, headers: [("Content-Encoding", "gzip")], body: Gzip.bomb(100_000_000))
        },
    ]
}

@Suite("Watcher against a ledger that lies about a long log")
struct LongLogTests {
    private static let trusted = 5

    private static let honest: (short: TestLog, long: LongLog) = {
        var log = TestLog()
        log.grow(to: trusted)
        return (log, LongLog(log))
    }()

    /// A watcher that trusts the short log when `body` begins; the server answers as the box says from then on.
    private func following(
        _ body: (WatcherHarness, LyingServer, Watcher, LongLog) async throws -> Void
    ) async throws {
        let (short, long) = Self.honest
        try await WatcherHarness.serving(short) { harness, server in
            var configuration = harness.configuration(server)
            configuration.longPoll = 0
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.size == Self.trusted })
                try await body(harness, server, watcher, long)
            }
        }
    }

    @Test("proves an honest one by its hash tiles first, and fetches each bundle once")
    func honest() async throws {
        try await following { harness, server, watcher, long in
            let before = server.requests.count
            harness.tell { request, _ in long.answer(request) }
            let state = try #require(await watcher.state { $0.size == LongLog.size })
            #expect(state.root == long.root && state.condition == .normal && state.alarms.isEmpty)
            let paths = server.requests.dropFirst(before).map(\.path)
            let bundles = paths.filter { $0.hasPrefix("/tile/entries/") }
            #expect(Set(bundles).count == 68 && bundles.count == 68)
            let first = try #require(paths.firstIndex { $0.hasPrefix("/tile/entries/") })
            #expect(paths[..<first].count { $0.hasPrefix("/tile/0/") } == 68)
        }
    }

    @Test("refuses the lie with its code, and takes no step", arguments: LongLie.all)
    func refuses(lie: LongLie) async throws {
        try await following { harness, _, watcher, long in
            let honest = try #require(watcher.latest)
            harness.tell { request, _ in
                request.path == lie.path ? lie.change(long, long.files[lie.path] ?? []) : long.answer(request)
            }
            let refusal = try #require(await harness.refusal(lie.code))
            #expect(!refusal.message.isEmpty)
            let latest = try #require(watcher.latest)
            #expect(latest.size == honest.size && latest.root == honest.root)
            if case .halted = latest.condition { Issue.record("halted: \(latest.condition)") }
        }
    }

    @Test("follows an honest server again after a lie about a hash tile and one about a bundle")
    func recovers() async throws {
        try await following { harness, _, watcher, long in
            for path in ["/tile/0/003", "/tile/entries/003"] {
                harness.tell { request, _ in
                    guard request.path == path, var bytes = long.files[path] else { return long.answer(request) }
                    bytes[bytes.count / 2] ^= 0x80
                    return .respond(200, body: bytes)
                }
                _ = try #require(await harness.refusal("entries.mismatch"))
                #expect(watcher.latest?.size == UInt64(Self.trusted))
            }
            harness.tell { request, _ in long.answer(request) }
            #expect(await watcher.state { $0.size == LongLog.size }?.root == long.root)
        }
    }

    @Test("halts with evidence when the long log has another beginning than the trusted one")
    func forked() async throws {
        try await following { harness, _, watcher, _ in
            var other = TestLog()
            other.grow(to: Self.trusted, from: 70)
            let long = LongLog(other)
            harness.tell { request, _ in long.answer(request) }
            let state = try #require(await watcher.state { $0.condition != .normal })
            guard case .halted(.checkpointFork, _) = state.condition else {
                Issue.record("not halted: \(state.condition)")
                return
            }
            #expect(state.size == Self.trusted)
            let evidence = try #require(try harness.evidence().first)
            #expect(evidence.verify(keyChain: KeyChain([harness.log.ledgerVKey])) == .ok)
        }
    }

    @Test(
        "takes a long log from a mirror while the ledger drips its tiles, or its bundles",
        arguments: ["0", "entries"]
    )
    func dripping(level: String) async throws {
        let (short, long) = Self.honest
        let honest: LyingServer.Answer = { request in long.answer(request) }
        try await LyingServer.serving(honest) { mirror in
            try await WatcherHarness.serving(short) { harness, server in
                var configuration = harness.configuration(server)
                configuration.longPoll = 0
                configuration.urls.append(mirror.url)
                configuration.patience = .milliseconds(300)
                // The mirror gives data behind the ledger's checkpoint, and is not asked for its own.
                configuration.interval = .seconds(600)
                try await harness.following(configuration) { watcher in
                    _ = try #require(await watcher.state { $0.size == Self.trusted })
                    let start = ContinuousClock.now
                    harness.tell { request, _ in
                        guard request.path.hasPrefix("/tile/\(level)/") else { return long.answer(request) }
                        return .drip(200, body: long.files[request.path] ?? [], every: .milliseconds(500))
                    }
                    #expect(await watcher.state { $0.size == LongLog.size }?.root == long.root)
                    // One of 68 dripped files alone would take more than an hour.
                    print("tile/\(level) of the ledger dripped, the step took \(ContinuousClock.now - start)")
                }
            }
        }
    }
}
