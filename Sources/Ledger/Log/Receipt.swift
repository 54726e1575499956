public import Contracts

/// A C2SP tlog-proof v1 without extra data: that an entry is in the log of a checkpoint.
public struct Receipt: Sendable {
    /// Index of the entry.
    public let index: UInt64

    /// Inclusion proof, the lowest sibling first; at most 63 hashes.
    public let hashes: [Digest]

    /// The checkpoint with its cosignatures.
    public let checkpoint: Checkpoint

    private static let header = "c2sp.org/tlog-proof@v1"

    /// A receipt from its parts.
    public init(index: UInt64, hashes: [Digest], checkpoint: Checkpoint) {
        self.index = index
        self.hashes = hashes
        self.checkpoint = checkpoint
    }

    /// Parses a receipt of at most 64 KiB and the hashes; everything else is `note.malformed`.
    public init(parsing bytes: [UInt8]) throws(VerificationResult) {
        guard bytes.count <= SignedNote.longest + 8192, let separator = Self.firstEmptyLine(bytes) else {
            throw .noteMalformed
        }
        let lines = bytes[..<separator].dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
        guard (2...65).contains(lines.count), lines[0].elementsEqual(Self.header.utf8),
            lines[1].starts(with: "index ".utf8), let index = Decimal53.parse(lines[1].dropFirst(6))
        else { throw .noteMalformed }
        var hashes: [Digest] = []
        for line in lines[2...] {
            guard let decoded = Base64.decode(line), let hash = Digest(decoded) else { throw .noteMalformed }
            hashes.append(hash)
        }
        self.init(
            index: index,
            hashes: hashes,
            checkpoint: try Checkpoint(parsing: Array(bytes[(separator + 1)...]))
        )
    }

    /// The receipt as text.
    public var bytes: [UInt8] {
        var bytes = Array("\(Self.header)\nindex \(index)\n".utf8)
        bytes.reserveCapacity(bytes.count + 45 * hashes.count + 1 + checkpoint.bytes.count)
        for hash in hashes {
            Base64.append(hash.bytes, to: &bytes)
            bytes.append(0x0A)
        }
        bytes.append(0x0A)
        bytes.append(contentsOf: checkpoint.bytes)
        return bytes
    }

    /// Verifies that the leaf is at the index in the tree of the checkpoint, and the checkpoint under the judge.
    public func verify(leaf: [UInt8], judge: CheckpointJudge, localNow: Timestamp?) -> VerificationResult {
        if case .failure(let result) = judge.judge(checkpoint, localNow: localNow) { return result }
        return proves(MerkleTree.leafHash(leaf)) ? .ok : .entriesMismatch
    }

    /// Whether the leaf hash is at the index in the tree of the checkpoint. Who signed the checkpoint is not looked at.
    public func proves(_ leafHash: Digest) -> Bool {
        Proofs.verifyInclusion(
            index: index,
            size: checkpoint.size,
            leafHash: leafHash,
            proof: hashes,
            root: checkpoint.root
        )
    }

    private static func firstEmptyLine(_ bytes: [UInt8]) -> Int? {
        for index in bytes.indices.dropFirst() where bytes[index] == 0x0A && bytes[index - 1] == 0x0A { return index }
        return nil
    }
}
