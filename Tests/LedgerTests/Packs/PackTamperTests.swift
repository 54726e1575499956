import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// A small signed pack, every byte of which is changed.
private struct SmallPack {
    let files: [String: [UInt8]]
    let options: AuditOptions
    let folder: TemporaryFolder

    /// - Parameter hasAttacks: whether there are attack files, and tampered envelopes of every code that a story has.
    init(hasAttacks: Bool = false) async throws {
        folder = try TemporaryFolder()
        var story = StoryLedger("tamper")
        let twin = story.twin("somebody")
        story.sign(.nameCreate(NameCreateBody(name: "shop")), as: twin.id, by: twin.operators)
        story.tick()
        var options = AuditOptions(ledgerID: story.id, localNow: story.now)
        let key = (key: StoryLedger.manifestKey, verifierKey: StoryLedger.manifestVerifierKey)
        let maker = PackMaker(audit: options, manifestKey: key, hasAttacks: hasAttacks)
        _ = try await maker.make(from: story.log(), into: folder.path("pack"))
        options.manifestKey = key.verifierKey
        options.each = true
        self.options = options
        let pack = LogFolder(path: folder.path("pack")).pack
        files = Dictionary(uniqueKeysWithValues: try pack.paths().map { ($0, try pack.requiredFile($0)) })
    }

    func verdict(_ files: [String: [UInt8]], key: Bool = true) async throws -> AuditReport.Verdict {
        var options = options
        if !key { options.manifestKey = nil }
        let log = MemoryLog(files: files)
        return try await AuditReplay.run(log, pack: log.pack, options: options).verdict
    }
}

@Suite("Every change to a signed pack is found")
struct PackTamperTests {
    @Test("a flipped bit in any byte of any file")
    func everyByte() async throws {
        let pack = try await SmallPack()
        #expect(try await pack.verdict(pack.files) == .equal)
        let count = try await flip(pack, pack.files.keys.sorted(), step: 1)
        #expect(count > 5000)
    }

    @Test("a flipped bit in every attack file and in the tampered envelopes")
    func attackFiles() async throws {
        let pack = try await SmallPack(hasAttacks: true)
        #expect(try await pack.verdict(pack.files) == .equal)
        let paths = pack.files.keys.filter { $0.hasPrefix("attack/") || $0 == "tampered.json" }.sorted()
        #expect(paths.count > 10)
        #expect(try await flip(pack, paths, step: 53) > 500)
    }

    /// Flips one bit, chosen by chance, of each `step`th byte of the files, one at a time, and counts them.
    private func flip(_ pack: SmallPack, _ paths: [String], step: Int) async throws -> Int {
        let seed = UInt64.random(in: 0..<UInt64.max)
        var generator = SplitMix64(seed: seed)
        var count = 0
        for path in paths {
            let bytes = pack.files[path, default: []]
            for index in stride(from: Int.random(in: 0..<step, using: &generator), to: bytes.count, by: step) {
                var files = pack.files
                files[path]?[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                let verdict = try await pack.verdict(files)
                #expect(verdict == .different, "seed \(seed): byte \(index) of \(path)")
                count += 1
            }
        }
        return count
    }

    @Test("a file that is gone, added, renamed, exchanged for another, cut or prolonged")
    func files() async throws {
        let pack = try await SmallPack()
        let paths = pack.files.keys.sorted()
        for path in paths {
            let bytes = try #require(pack.files[path])
            var changes: [(String, [UInt8]?, [String: [UInt8]])] = [
                ("gone", nil, [:]), ("renamed", nil, [path + "x": bytes]), ("cut", Array(bytes.dropLast()), [:]),
                ("prolonged", bytes + [0x0A], [:]), ("empty", [], [:]), ("beside", bytes, [path + "x": bytes]),
            ]
            for other in paths where other != path && pack.files[other] != bytes {
                changes.append(("exchanged with \(other)", pack.files[other], [other: bytes]))
            }
            for (what, own, others) in changes {
                var files = pack.files
                files[path] = own
                files.merge(others) { $1 }
                #expect(try await pack.verdict(files) == .different, "\(path) \(what)")
            }
        }
    }

    @Test("without a manifest key all files are still compared with MANIFEST; only its signature lines are not")
    func withoutKey() async throws {
        let pack = try await SmallPack()
        let manifest = try #require(pack.files["MANIFEST"])
        let text = try SignedNote(parsing: manifest, limit: FixturePack.longestManifest).text
        for path in pack.files.keys.sorted() {
            let bytes = try #require(pack.files[path])
            let end = path == "MANIFEST" ? text.count : bytes.count
            for index in stride(from: 0, to: end, by: 7) {
                var files = pack.files
                files[path]?[index] ^= 1
                #expect(try await pack.verdict(files, key: false) == .different, "byte \(index) of \(path)")
            }
        }
        var files = pack.files
        files["MANIFEST"]?[manifest.count - 10] ^= 1
        #expect(try await pack.verdict(files, key: false) == .equal)
        #expect(try await pack.verdict(files) == .different)
    }

    @Test("whoever writes MANIFEST anew with another key is found out by the key that the auditor has")
    func signedAnew() async throws {
        let pack = try await SmallPack()
        var files = pack.files
        let stranger = StoryLedger.key("somebody else")
        let text = try SignedNote(parsing: try #require(files["MANIFEST"]), limit: FixturePack.longestManifest).text
        files["MANIFEST"] =
            SignedNote.signed(
                text: text,
                by: [
                    (
                        stranger,
                        VerifierKey(name: "packs.example.org", type: VerifierKey.noteType, key: stranger.publicKey)
                    )
                ]
            ).bytes
        #expect(try await pack.verdict(files) == .different)
    }
}
