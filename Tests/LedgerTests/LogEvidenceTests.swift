import Contracts
import Ledger
import Testing

@Suite("Receipts and fork evidence")
struct LogEvidenceTests {
    private let keys = LogTestKeys()
    private let leaves = (0..<9).map { [UInt8]("leaf \($0)".utf8) }

    private func hashes(_ leaves: [[UInt8]]) -> Proofs.SubtreeReader {
        let hashes = leaves.map { MerkleTree.leafHash($0) }
        return { level, index in
            var nodes = Array(hashes[Int(index) << level..<(Int(index) + 1) << level])
            while nodes.count > 1 {
                nodes = stride(from: 0, to: nodes.count, by: 2).map { MerkleTree.nodeHash(nodes[$0], nodes[$0 + 1]) }
            }
            return nodes[0]
        }
    }

    private func root(_ leaves: [[UInt8]]) -> Digest {
        var verifier = LogVerifier()
        verifier.append(leaves)
        return verifier.range.root
    }

    @Test("a receipt proves its leaf and no other")
    func receipts() throws {
        let checkpoint = keys.checkpoint(size: 9, root: root(leaves), times: [0: 1000, 1: 1000, 2: 1000])
        for index in leaves.indices {
            let proof = try Proofs.inclusion(index: UInt64(index), size: 9, read: hashes(leaves))
            let bytes = Receipt(index: UInt64(index), hashes: proof, checkpoint: checkpoint).bytes
            let receipt = try Receipt(parsing: bytes)
            #expect(receipt.bytes == bytes)
            #expect(receipt.verify(leaf: leaves[index], judge: keys.judge, localNow: 1000) == .ok)
            #expect(receipt.verify(leaf: [0], judge: keys.judge, localNow: 1000) == .entriesMismatch)
            #expect(receipt.verify(leaf: leaves[index], judge: keys.judge, localNow: 699) == .checkpointQuorum)
        }
    }

    @Test("takes no receipt in another form")
    func malformedReceipts() throws {
        let checkpoint = keys.checkpoint(size: 9, root: root(leaves))
        let proof = try Proofs.inclusion(index: 3, size: 9, read: hashes(leaves))
        let good = String(decoding: Receipt(index: 3, hashes: proof, checkpoint: checkpoint).bytes, as: UTF8.self)
        func changed(_ from: String, _ to: String) -> String {
            good.split(separator: from, maxSplits: 1, omittingEmptySubsequences: false).joined(separator: to)
        }
        for text in [
            "", "\n", changed("@v1", "@v2"), changed("index 3", "index 03"), changed("index 3", "index -3"),
            changed("index 3", "index  3"), changed("index 3\n", "extra AA==\nindex 3\n"), changed("index 3\n", ""),
            changed("=\n", "\n"), changed("\n\n", "\n"), changed("index 3\n", "index 3\n\n"),
            changed("index 3\n", "index 3\n" + String(repeating: Base64.encode(Digest.zero.bytes) + "\n", count: 64)),
        ] {
            #expect(throws: VerificationResult.self, "\(text)") { try Receipt(parsing: Array(text.utf8)) }
        }
    }

    /// A log and another one that differs from entry 4 on, both signed.
    private func fork(_ a: Int, _ b: Int) throws -> ForkEvidence {
        var other = leaves
        other[4] = [9, 9, 9]
        let first = keys.checkpoint(size: UInt64(a), root: root(Array(other[..<a])), times: [:])
        let second = keys.checkpoint(size: UInt64(b), root: root(Array(leaves[..<b])), times: [:])
        return ForkEvidence(
            a: first,
            b: second,
            prefixRoot: a == b ? second.root : root(Array(leaves[..<a])),
            proof: a == b ? [] : try Proofs.consistency(from: UInt64(a), to: UInt64(b), read: hashes(leaves))
        )
    }

    @Test("evidence proves two histories, of equal and of different sizes")
    func evidence() throws {
        let chain = KeyChain([keys.ledgerKey])
        for (a, b) in [(9, 9), (5, 9), (8, 9), (5, 6)] {
            let bytes = try fork(a, b).bytes
            let parsed = try ForkEvidence(parsing: bytes)
            #expect(parsed.bytes == bytes)
            #expect(parsed.verify(keyChain: chain) == .ok)
            #expect(parsed.verify(keyChain: KeyChain()) == .evidenceInvalid)
        }
        // Up to entry 4 both histories are one: no fork.
        #expect(try fork(4, 9).verify(keyChain: chain) == .evidenceInvalid)
        #expect(try fork(3, 3).verify(keyChain: chain) == .evidenceInvalid)
    }

    @Test("every changed byte of evidence spoils it or leaves its meaning")
    func flippedEvidence() throws {
        let chain = KeyChain([keys.ledgerKey])
        let good = try fork(5, 9).bytes
        for index in good.indices {
            var bytes = good
            bytes[index] ^= 1
            guard let evidence = try? ForkEvidence(parsing: bytes) else { continue }
            #expect(evidence.verify(keyChain: chain) == .evidenceInvalid, "byte \(index)")
        }
    }

    @Test("takes evidence only in its canonical form")
    func canonicalEvidence() throws {
        let good = String(decoding: try fork(5, 9).bytes, as: UTF8.self)
        for text in [
            "", "{}", " " + good, good + "\n", good.replacing("\"proof\"", with: "\"proofs\""),
            good.replacing("webgw/fork@v1", with: "webgw/fork@v2"), good.replacing("\",\"b\":", with: "\", \"b\":"),
            good.replacing("\u{2014}", with: "\\u2014"), good.dropLast() + ",\"x\":1}",
        ] {
            #expect(throws: VerificationResult.evidenceInvalid, "\(text)") {
                try ForkEvidence(parsing: Array(text.utf8))
            }
        }
    }
}
