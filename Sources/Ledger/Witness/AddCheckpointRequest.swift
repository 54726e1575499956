public import Contracts

/// The body of `POST /add-checkpoint` of C2SP tlog-witness: the size the log believes the witness to be at, a
/// consistency proof from there, and a checkpoint. Parsing proves nothing.
public struct AddCheckpointRequest: Sendable {
    /// Size of the checkpoint that the witness cosigned last, as the log believes; 0 for none.
    public let oldSize: UInt64

    /// Consistency proof from the old size, at most 63 hashes.
    public let proof: [Digest]

    public let checkpoint: Checkpoint

    /// Most proof lines (C2SP tlog-witness).
    public static let mostHashes = 63

    /// Longest body, in bytes: a note of 64 KiB, 63 hashes of 45 bytes and the line of the old size.
    public static let longest = SignedNote.longest + mostHashes * 45 + 32

    public init(oldSize: UInt64, proof: [Digest], checkpoint: Checkpoint) {
        self.oldSize = oldSize
        self.proof = proof
        self.checkpoint = checkpoint
    }

    /// Parses a body; nil when it is not exactly in the form of the specification.
    public init?(parsing bytes: [UInt8]) {
        guard bytes.count <= Self.longest, let head = bytes.firstIndex(of: 0x0A), bytes.starts(with: "old ".utf8),
            let oldSize = Decimal53.parse(bytes[4..<max(head, 4)])
        else { return nil }
        var proof: [Digest] = []
        var start = head + 1
        while true {
            guard let end = bytes[start...].firstIndex(of: 0x0A) else { return nil }
            if end == start { break }
            guard proof.count < Self.mostHashes, let raw = Base64.decode(bytes[start..<end]), let hash = Digest(raw)
            else { return nil }
            proof.append(hash)
            start = end + 1
        }
        guard let checkpoint = try? Checkpoint(parsing: Array(bytes[(start + 1)...])) else { return nil }
        self.init(oldSize: oldSize, proof: proof, checkpoint: checkpoint)
    }

    /// The body.
    public var bytes: [UInt8] {
        var bytes = Array("old \(oldSize)\n".utf8)
        for hash in proof { bytes.append(contentsOf: "\(Base64.encode(hash.bytes))\n".utf8) }
        bytes.append(0x0A)
        bytes.append(contentsOf: checkpoint.bytes)
        return bytes
    }
}
