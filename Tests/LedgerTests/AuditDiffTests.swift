import Contracts
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

/// A test log as a source of an audit, which counts what it is asked for.
struct AuditedTestLog: LogSource {
    var log: TestLog
    var note: [UInt8]
    var asked = NIOLockedValueBox(0)
    /// Changes the bytes of one path.
    var change: @Sendable (String, [UInt8]) -> [UInt8] = { $1 }
    private let resources: [String: [UInt8]]

    init(_ log: TestLog, checkpoint: [UInt8]? = nil) {
        self.log = log
        note = checkpoint ?? log.checkpoint()
        var resources: [String: [UInt8]] = [:]
        let size = log.leaves.count
        var nodes = log.hashes(size)
        for path in TilePath.all(.entries, size: UInt64(size)) {
            let first = Int(path.index) * TilePath.fullWidth
            resources[path.description] = EntryBundle.encode(log.leaves[first..<(first + path.width)])
        }
        for level in 0...1 {
            var parents: [Digest] = []
            for path in TilePath.all(.hashes(level: level), size: UInt64(size)) {
                let first = Int(path.index) * TilePath.fullWidth
                let tile = HashTile(Array(nodes[first..<(first + path.width)]))
                resources[path.description] = tile.bytes
                if path.width == TilePath.fullWidth { parents.append(tile.root) }
            }
            nodes = parents
        }
        self.resources = resources
    }

    func checkpoint() async throws -> [UInt8]? { note }

    func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]? {
        asked.withLockedValue { $0 += 1 }
        return resources[path.description].map { change(path.description, $0) }
    }

    var options: AuditOptions {
        AuditOptions(ledgerID: log.ledgerID, dev: true, localNow: TestLog.start + 1000)
    }
}

@Suite("Audit: comparing two logs")
struct AuditDiffTests {
    private func diff(_ a: AuditedTestLog, _ b: AuditedTestLog, isQuick: Bool = false) async throws -> AuditDiff {
        try await AuditDiff.run(AuditDiff.Log(a), AuditDiff.Log(b), options: a.options, isQuick: isQuick)
    }

    /// Two logs that share `shared` entries and then go different ways.
    private func fork(at shared: Int, _ sizeA: Int, _ sizeB: Int) -> (TestLog, TestLog) {
        var a = TestLog()
        a.grow(to: shared)
        var b = a
        a.grow(to: sizeA, from: 10)
        b.grow(to: sizeB, from: 50)
        return (a, b)
    }

    @Test("finds the first difference of two trees as a linear search does, at every place and size")
    func firstDifference() {
        func levels(_ leaves: [Digest]) -> [[Digest]] {
            var levels = [leaves]
            while let last = levels.last, last.count > 1 {
                levels.append(
                    stride(from: 0, to: last.count - 1, by: 2).map { MerkleTree.nodeHash(last[$0], last[$0 + 1]) }
                )
            }
            return levels
        }
        for size in 1...40 {
            let leaves = (0..<size).map { Digest.sha256([UInt8($0)]) }
            let a = levels(leaves)
            for place in 0..<size {
                var changed = leaves
                for index in place..<size where index == place || index % 3 == 0 { changed[index] = .zero }
                let b = levels(changed)
                let found = Proofs.firstDifference(size: UInt64(size), { a[$0][Int($1)] }, { b[$0][Int($1)] })
                #expect(found == UInt64(place), "size \(size)")
            }
            #expect(Proofs.firstDifference(size: UInt64(size), { a[$0][Int($1)] }, { a[$0][Int($1)] }) == nil)
        }
    }

    @Test("names the first entry that differs, and asks for a few tiles only", arguments: [1, 256, 530])
    func quick(_ shared: Int) async throws {
        let (a, b) = fork(at: shared, 600, 540)
        let (logA, logB) = (AuditedTestLog(a), AuditedTestLog(b))
        let found = try await diff(logA, logB, isQuick: true)
        #expect(found.relation == .different && found.shared == UInt64(shared))
        #expect(found.a.entry?.id == Envelope.id(of: a.leaves[shared]))
        #expect(found.b.entry?.id == Envelope.id(of: b.leaves[shared]))
        #expect(found.json["first_bad_index"]?.asInteger == Int64(shared))
        #expect(!found.a.isJudged && found.evidence == nil)
        #expect(logA.asked.withLockedValue { $0 } < 12)
    }

    @Test("proves a fork that the ledger signed, and says which side has its quorum")
    func forked() async throws {
        let (a, b) = fork(at: 260, 270, 300)
        let signed = AuditedTestLog(b, checkpoint: b.checkpoint(isCosigned: false))
        let found = try await diff(AuditedTestLog(a), signed)
        #expect(found.relation == .different && found.shared == 260 && !found.isAgreement)
        #expect(found.a.quorumTime == TestLog.start && found.a.failure == nil)
        #expect(found.b.failure?.code == "checkpoint.quorum")
        #expect(found.a.entry?.code == .ok && found.b.entry?.code == .ok)
        #expect(found.a.entry?.type == .twinCreate && found.a.entry?.signers.count == 1)
        #expect(found.firstBadOutcome == 260)
        let evidence = try #require(found.evidence)
        #expect(evidence.verify(keyChain: KeyChain([a.ledgerVKey])) == .ok)
        let judged = try await AuditEvidence.run(evidence.bytes, log: signed, options: signed.options)
        #expect(judged.result == .ok && judged.historyAtHand == .b)
        #expect(AuditEvidence(evidence.bytes, keyChain: KeyChain()).result == .evidenceInvalid)
        // The other way round it is the same fork.
        let reversed = try await diff(signed, AuditedTestLog(a))
        #expect(reversed.evidence?.bytes == evidence.bytes && reversed.b.quorumTime == TestLog.start)
    }

    @Test("has no evidence when a stranger signed the other history")
    func unsignedFork() async throws {
        let (a, b) = fork(at: 3, 6, 6)
        let forged = AuditedTestLog(b, checkpoint: b.checkpoint(by: TestLog.key(9, 9)))
        let found = try await diff(AuditedTestLog(a), forged)
        #expect(found.relation == .different && found.evidence == nil)
        #expect(found.b.failure?.code == "checkpoint.signature")
    }

    @Test("agrees on one log, and on a log and its beginning")
    func agreement() async throws {
        var log = TestLog()
        log.grow(to: 300)
        let shorter = AuditedTestLog(log)
        log.grow(to: 400)
        let longer = AuditedTestLog(log)
        let same = try await diff(shorter, shorter)
        #expect(same.relation == .equal && same.isAgreement && same.shared == 300 && same.a.entry == nil)
        for (a, b) in [(shorter, longer), (longer, shorter)] {
            let found = try await diff(a, b)
            #expect(found.relation == .prefix && found.isAgreement && found.shared == 300)
            #expect((found.a.entry ?? found.b.entry)?.index == 300)
            #expect(found.evidence == nil)
        }
    }

    @Test("blames tiles and entries that are not those of the checkpoint")
    func lies() async throws {
        let (a, b) = fork(at: 280, 300, 300)
        for path in ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44", "tile/0/000"] {
            var bad = AuditedTestLog(b)
            bad.change = { found, bytes in
                var bytes = bytes
                if found == path { bytes[bytes.count / 2] ^= 1 }
                return bytes
            }
            await #expect(throws: AuditFailure.self, "\(path)") {
                let found = try await diff(AuditedTestLog(a), bad)
                // A tile that bisection did not need is found by the replay.
                if let failure = found.b.failure { throw failure }
            }
        }
        var other = AuditedTestLog(a)
        other.log = TestLog(seed: 2)
        await #expect(throws: AuditFailure.self) { try await diff(other, AuditedTestLog(b)) }
    }

    @Test("finds the first outcome that a pack recorded differently")
    func recordedOutcomes() async throws {
        let pack = LogPack.named("public-upgrade")
        let files = try pack.files()
        var lines = try #require(files["outcomes.jsonl"]).split(separator: 0x0A).map { Array($0) }
        lines[4] = Outcome(index: 4, code: .txExpired, id: nil).canonical
        var changed = MemoryLog(files: files)
        changed.files["outcomes.jsonl"] = lines.flatMap { $0 + [0x0A] }
        let log = MemoryLog(files: files)
        let found = try await AuditDiff.run(
            AuditDiff.Log(log, pack: log.pack),
            AuditDiff.Log(changed, pack: changed.pack),
            options: pack.options()
        )
        #expect(found.relation == .equal && found.firstBadOutcome == 4 && !found.isAgreement)
        #expect(found.b.outcome?.contains("tx.expired") == true && found.a.outcome != found.b.outcome)
    }
}

extension Envelope {
    fileprivate static func id(of leaf: [UInt8]) -> Identifier? { (try? Envelope(leaf: leaf))?.id }
}
