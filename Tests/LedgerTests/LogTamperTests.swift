import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("Tampered packs and entries")
struct LogTamperTests {
    /// Fixed, and in the message of every failure.
    private static let seeds: [UInt64] = [1, 2, 3]

    @Test("finds a flipped byte in any file of a signed pack", arguments: seeds)
    func flippedBytesUnderManifest(_ seed: UInt64) async throws {
        var generator = SplitMix64(seed: seed)
        let pack = LogPack.named("public-upgrade")
        let files = try pack.files()
        for path in files.keys.sorted() {
            let bytes = try #require(files[path])
            for _ in 0..<3 {
                var log = MemoryLog(files: files)
                let index = Int.random(in: bytes.indices, using: &generator)
                log.files[path]?[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                let report = try await pack.replay(log, pack.options())
                #expect(report.verdict == .different, "seed \(seed): byte \(index) of \(path)")
            }
        }
    }

    @Test("finds a flipped byte in the log and the recorded results, without a manifest", arguments: seeds)
    func flippedBytesWithoutManifest(_ seed: UInt64) async throws {
        var generator = SplitMix64(seed: seed)
        let pack = LogPack.named("public-upgrade")
        var files = try pack.files()
        files["MANIFEST"] = nil
        for path in files.keys.sorted() {
            let bytes = try #require(files[path])
            // White space between the tokens of a JSON file has no meaning.
            let places = bytes.indices.filter { !path.hasSuffix(".json") || ![0x20, 0x0A].contains(bytes[$0]) }
            for _ in 0..<30 {
                var log = MemoryLog(files: files)
                let index = try #require(places.randomElement(using: &generator))
                log.files[path]?[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                let report = try await pack.replay(log, pack.options(manifestKey: false))
                #expect(report.verdict == .different, "seed \(seed): byte \(index) of \(path)")
            }
        }
    }

    @Test("names the entry that was changed")
    func firstBadIndex() async throws {
        let pack = LogPack.named("public")
        var log = MemoryLog(files: try pack.files())
        log.files["MANIFEST"] = nil
        let path = "tile/entries/001"
        var leaves = try #require(log.files[path].flatMap { EntryBundle.decode($0, count: 256) })
        leaves[44][20] ^= 1
        log.files[path] = EntryBundle.encode(leaves)
        let report = try await pack.replay(log, pack.options(each: false, manifestKey: false))
        #expect(report.failures.first?.code == VerificationResult.entriesMismatch.rawValue)
        #expect(report.json["first_bad_index"] == 300)
        #expect(report.size == 256)
    }

    @Test("finds files that are missing, added or not listed", arguments: LogPack.all)
    func missingFiles(_ pack: LogPack) async throws {
        let files = try pack.files()
        for path in files.keys.sorted() where !path.hasPrefix("attack/") || path == "attack/index.json" {
            var log = MemoryLog(files: files)
            log.files[path] = nil
            let report = try await pack.replay(log, pack.options(each: false))
            #expect(report.verdict == .different, "\(path)")
        }
        var log = MemoryLog(files: files)
        log.files["tile/0/003"] = [1]
        #expect(try await pack.replay(log, pack.options()).failures.first?.code == "manifest.invalid")
    }

    @Test("codes that no entry had may be listed with 0; any other count is a difference")
    func zeroCounts() async throws {
        let pack = LogPack.named("public-upgrade")
        var log = MemoryLog(files: try pack.files())
        log.files["MANIFEST"] = nil
        let expect = String(decoding: try #require(log.files["expect.json"]), as: UTF8.self)
        let place = try #require(expect.range(of: #""codes":"#)).upperBound
        let brace = try #require(expect[place...].firstIndex(of: "{"))
        func replay(_ member: String) async throws -> AuditReport.Verdict {
            let text = expect[...brace] + member + expect[expect.index(after: brace)...]
            log.files["expect.json"] = Array(text.utf8)
            return try await pack.replay(log, pack.options(manifestKey: false)).verdict
        }
        #expect(try await replay(#""tx.expired": 0,"#) == .unsupported)
        #expect(try await replay(#""tx.expired": 1,"#) == .different)
        #expect(try await replay(#""ok": 0,"#) == .different)
    }

    @Test("believes neither another ledger id nor another manifest key")
    func pins() async throws {
        let pack = LogPack.named("public-upgrade")
        let log = MemoryLog(files: try pack.files())
        var options = pack.options()
        options.ledgerID = LogPack.named("public").ledgerID
        #expect(try await pack.replay(log, options).verdict == .different)
        #expect(try await AuditReplay.run(log, pack: nil, options: options).verdict == .different)
        options = pack.options()
        options.manifestKey = LogPack.named("public").manifestKey
        #expect(try await pack.replay(log, options).failures.first?.code == "manifest.invalid")
    }

    @Test("refuses a pack whose paths lead out of it")
    func paths() {
        for path in ["", "/etc/passwd", "../x", "a/../x", "a//b", "./a", "a/.", "a\\b", "a\nb", "a/"] {
            let pack = FixturePack(read: { _, _ in [1] }, list: { [] })
            #expect(throws: AuditFailure.self, "\(path)") { try pack.file(path) }
        }
    }

    // MARK: Entries

    /// States and leaves of a pack to mutate.
    private func folded(_ pack: LogPack) throws -> (ContractState, [[UInt8]]) {
        let files = try pack.files()
        var leaves: [[UInt8]] = []
        for path in TilePath.all(.entries, size: UInt64(pack.entries)) {
            leaves += try #require(files[path.description].flatMap { EntryBundle.decode($0, count: path.width) })
        }
        var state = ContractState()
        for leaf in leaves { _ = state.fold(leaf) }
        _ = state.takeChanges()
        return (state, leaves)
    }

    @Test("gives a code to any byte string as a leaf, and moves on by one entry", arguments: seeds)
    func mutatedLeaves(_ seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        let (state, leaves) = try folded(LogPack.named("public"))
        for round in 0..<1500 {
            var leaf = try #require(leaves.randomElement(using: &generator))
            switch round % 3 {
            case 0: Self.mutate(&leaf, using: &generator)
            case 1: leaf = Self.mutatedPayload(leaf, using: &generator)
            default:
                leaf = (0..<Int.random(in: 0..<300, using: &generator)).map { _ in
                    .random(in: 0...255, using: &generator)
                }
            }
            var next = state
            guard case .outcome(let outcome) = next.fold(leaf) else {
                Issue.record("seed \(seed), round \(round): no outcome")
                continue
            }
            #expect(outcome.index == state.size && next.size == state.size + 1, "seed \(seed), round \(round)")
            if outcome.code != .ok {
                // Nothing but a consumed sequence number may have changed.
                #expect(
                    next.takeChanges().allSatisfy { $0.key.hasPrefix("lane/") },
                    "seed \(seed), round \(round): \(outcome.code.rawValue)"
                )
            }
        }
    }

    private static func mutate(_ bytes: inout [UInt8], using generator: inout SplitMix64) {
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            guard !bytes.isEmpty else { return }
            let index = Int.random(in: bytes.indices, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes[index] = .random(in: 0...255, using: &generator)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(.random(in: 0x20...0x7E, using: &generator), at: index)
            case 4: bytes.removeSubrange(index...)
            default: bytes.insert(contentsOf: bytes[index..<min(index + 40, bytes.count)], at: index)
            }
        }
    }

    /// Changes the payload behind its base64, so that the mutation reaches the schema and the rules.
    private static func mutatedPayload(_ leaf: [UInt8], using generator: inout SplitMix64) -> [UInt8] {
        guard var envelope = try? Envelope(leaf: leaf) else { return leaf }
        mutate(&envelope.payload, using: &generator)
        return envelope.leaf
    }
}
