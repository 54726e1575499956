import Contracts
import Ledger
import Testing

/// A ledger with four witnesses, made of fixed seeds.
struct LogTestKeys {
    let ledger = LogTestKeys.key(1)
    let witnesses = (11...14).map { LogTestKeys.key($0) }
    let origin = "ledger.example.org/test"

    var ledgerKey: VerifierKey { VerifierKey(name: origin, type: 1, key: ledger.publicKey) }

    func witnessKey(_ index: Int) -> VerifierKey {
        VerifierKey(name: "w\(index).example.org/w", type: 4, key: witnesses[index].publicKey)
    }

    /// Three of four.
    var policy: WitnessPolicy {
        let lines = witnesses.indices.map { "witness w\($0) \(witnessKey($0))\n" }.joined()
        guard let policy = WitnessPolicy(lines + "group q 3 w0 w1 w2 w3\nquorum q\n") else {
            fatalError("the policy is canonical")
        }
        return policy
    }

    var judge: CheckpointJudge { CheckpointJudge(origin: origin, ledgerKeys: [ledgerKey], policy: policy) }

    /// A checkpoint signed by the ledger and cosigned at these times.
    func checkpoint(size: UInt64, root: Digest, times: [Int: UInt64] = [0: 100, 1: 200, 2: 300]) -> Checkpoint {
        let text = Checkpoint.text(origin: origin, size: size, root: root)
        let note = SignedNote.signed(text: text, by: [(ledger, ledgerKey)])
        guard let checkpoint = Checkpoint(note: note) else { fatalError("the text is that of a checkpoint") }
        return checkpoint.adding(
            times.sorted { $0.key < $1.key }.map { index, time in
                Cosignature.sign(text: text, time: time, with: witnesses[index], as: witnessKey(index))
            }
        )
    }

    static func key(_ number: UInt8) -> SigningKey {
        guard let key = try? SigningKey(seed: [UInt8](repeating: number, count: 32)) else {
            fatalError("32 bytes are a seed")
        }
        return key
    }
}

@Suite("Checkpoints")
struct LogCheckpointTests {
    private let keys = LogTestKeys()
    private let root = Digest.sha256([42])

    private func judge(_ bytes: [UInt8], localNow: Timestamp? = nil) -> VerificationResult {
        switch keys.judge.judge(note: bytes, localNow: localNow) {
        case .success: .ok
        case .failure(let result): result
        }
    }

    @Test("parses what it writes")
    func roundTrip() throws {
        let checkpoint = keys.checkpoint(size: 7, root: root)
        let parsed = try Checkpoint(parsing: checkpoint.bytes)
        #expect(parsed.size == 7 && parsed.root == root && parsed.origin == keys.origin)
        #expect(parsed.note.bytes == checkpoint.bytes)
        #expect(judge(checkpoint.bytes) == .ok)
    }

    @Test("takes the k-th largest time of distinct witnesses as the quorum time")
    func quorumTime() throws {
        let checkpoint = keys.checkpoint(size: 7, root: root, times: [0: 100, 1: 400, 2: 300, 3: 200])
        let judged = try keys.judge.judge(checkpoint, localNow: nil).get()
        #expect(judged.quorumTime == 200)
        let text = checkpoint.note.text
        let again = checkpoint.adding([
            Cosignature.sign(text: text, time: 900, with: keys.witnesses[0], as: keys.witnessKey(0))
        ])
        #expect(try keys.judge.judge(again, localNow: nil).get().quorumTime == 300)
    }

    @Test("counts no cosignature from the future")
    func future() {
        let checkpoint = keys.checkpoint(size: 7, root: root, times: [0: 1000, 1: 1301, 2: 1300])
        #expect(judge(checkpoint.bytes, localNow: 1000) == .checkpointQuorum)
        #expect(judge(checkpoint.bytes, localNow: 1001) == .ok)
        #expect(judge(checkpoint.bytes) == .ok)
        let extreme = keys.checkpoint(size: 7, root: root, times: [0: .max, 1: .max, 2: .max])
        #expect(
            judge(extreme.bytes, localNow: .max) == .checkpointQuorum || judge(extreme.bytes, localNow: .max) == .ok
        )
        #expect(judge(extreme.bytes, localNow: 1000) == .checkpointQuorum)
    }

    @Test("needs different witnesses, not many lines")
    func distinctWitnesses() {
        let checkpoint = keys.checkpoint(size: 7, root: root, times: [0: 100, 1: 100])
        let text = checkpoint.note.text
        let padded = checkpoint.adding(
            (1...5).map { Cosignature.sign(text: text, time: $0, with: keys.witnesses[0], as: keys.witnessKey(0)) }
        )
        #expect(judge(padded.bytes) == .checkpointQuorum)
    }

    @Test("accepts a quorum of none only when asked to")
    func quorumNone() throws {
        let checkpoint = keys.checkpoint(size: 7, root: root, times: [:])
        let closed = CheckpointJudge(origin: keys.origin, ledgerKeys: [keys.ledgerKey], policy: .none)
        let open = CheckpointJudge(origin: keys.origin, ledgerKeys: [keys.ledgerKey], policy: .none, dev: true)
        #expect(throws: VerificationResult.checkpointQuorum) { try closed.judge(checkpoint, localNow: 5).get() }
        #expect(try open.judge(checkpoint, localNow: 5).get().quorumTime == 5)
    }

    @Test("ignores lines of strangers, and refuses a known line that does not verify")
    func lines() {
        let checkpoint = keys.checkpoint(size: 7, root: root)
        let stranger = SignedNote.Signature(name: "stranger", hash: 1, blob: [1])
        #expect(judge(checkpoint.adding([stranger]).bytes) == .ok)
        for key in [keys.ledgerKey, keys.witnessKey(3)] {
            for length in [1, 63, 64, 65, 71, 72, 73] {
                let bad = SignedNote.Signature(
                    name: key.name,
                    hash: key.hash,
                    blob: [UInt8](repeating: 1, count: length)
                )
                #expect(judge(checkpoint.adding([bad]).bytes) == .checkpointSignature)
            }
        }
    }

    @Test("judges in order: malformed, origin, signature, quorum, fork, stale")
    func order() throws {
        let other = LogTestKeys.key(99)
        let foreign = SignedNote.signed(
            text: Checkpoint.text(origin: "other", size: 1, root: root),
            by: [(other, VerifierKey(name: "other", type: 1, key: other.publicKey))]
        )
        #expect(judge(foreign.bytes) == .checkpointOrigin)
        let unsigned = SignedNote.signed(
            text: Checkpoint.text(origin: keys.origin, size: 1, root: root),
            by: [(other, VerifierKey(name: keys.origin, type: 1, key: other.publicKey))]
        )
        #expect(judge(unsigned.bytes) == .checkpointSignature)
        #expect(judge(keys.checkpoint(size: 1, root: root, times: [:]).bytes) == .checkpointQuorum)
        let judged = try keys.judge.judge(keys.checkpoint(size: 5, root: root), localNow: nil).get()
        #expect(judged.compared(trustedSize: 5) { _ in root } == .ok)
        #expect(judged.compared(trustedSize: 6) { _ in root } == .checkpointStale)
        #expect(judged.compared(trustedSize: 6) { _ in .zero } == .checkpointFork)
        #expect(judged.compared(trustedSize: 4) { _ in .zero } == .checkpointFork)
        #expect(judged.compared(trustedSize: 4) { _ in nil } == .ok)
        let empty = try keys.judge.judge(keys.checkpoint(size: 0, root: root), localNow: nil).get()
        #expect(empty.compared(trustedSize: 4) { _ in nil } == .checkpointFork)
    }

    @Test("takes no note that is not exactly a checkpoint")
    func malformed() {
        let good = String(decoding: keys.checkpoint(size: 7, root: root).bytes, as: UTF8.self)
        func changed(_ from: String, _ to: String) -> [UInt8] {
            let changed = good.split(separator: from, maxSplits: 1, omittingEmptySubsequences: false).joined(
                separator: to
            )
            #expect(changed != good)
            return Array(changed.utf8)
        }
        let dash = "\u{2014} "
        for bytes in [
            [], Array("\n".utf8), Array("\n\n".utf8), changed("\n7\n", "\n07\n"), changed("\n7\n", "\n+7\n"),
            changed("\n7\n", "\n9007199254740992\n"), changed("\n7\n", "\n99999999999999999999\n"),
            changed("\n7\n", "\n\n7\n"),
            changed("\n7\n", "\n7\nextension\n"), changed("\n7\n", "\r\n7\n"), changed(keys.origin, ""),
            changed(keys.origin, "a\u{85}"), changed(dash, "- "), changed(dash, "\u{2014}"),
            changed(dash, "\u{2014}  "),
            changed("\n\n", "\n"), Array((good + "\n").utf8), Array(good.dropLast().utf8), Array((good + "x").utf8),
            changed("=\n\u{2014}", "\n\u{2014}"), Array((good + "\u{2014} a AAAA\n").utf8),
            Array((good + "\u{2014} a+b AAAAAAA=\n").utf8),
            Array((good + "\u{2014}  AAAAAAA=\n").utf8), Array((good + "\u{2014} a AAAAAAA= \n").utf8),
            [0xFF] + Array(good.utf8),
        ] {
            #expect(judge(bytes) == .noteMalformed, "\(String(decoding: bytes, as: UTF8.self))")
        }
        let line = "\u{2014} a AAAAAAA=\n"
        #expect(judge(Array((good + String(repeating: line, count: 60)).utf8)) == .ok)
        #expect(judge(Array((good + String(repeating: line, count: 61)).utf8)) == .noteMalformed)
        let long = "\u{2014} \(String(repeating: "a", count: 65536)) AAAAAAA=\n"
        #expect(judge(Array((good + long).utf8)) == .noteMalformed)
    }

    @Test("gives an answer to every changed byte of a checkpoint, never ok")
    func flippedBytes() {
        let good = keys.checkpoint(size: 7, root: root).bytes
        for index in good.indices {
            for bit in 0..<8 {
                var bytes = good
                bytes[index] ^= 1 << UInt8(bit)
                #expect(judge(bytes) != .ok, "byte \(index), bit \(bit)")
            }
        }
    }
}
