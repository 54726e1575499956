import Crypto

/// The hash functions of the RFC 6962 tree with SHA-256.
public enum MerkleTree {
    /// Hash of a leaf: SHA-256 of 0x00 and the bytes.
    public static func leafHash(_ bytes: [UInt8]) -> Digest {
        leafHash(bytes[...])
    }

    /// Hash of a leaf: SHA-256 of 0x00 and the bytes.
    public static func leafHash(_ bytes: ArraySlice<UInt8>) -> Digest {
        var hash = SHA256()
        hash.update(data: leafMark)
        hash.update(data: bytes)
        return Digest(finished: hash.finalize())
    }

    /// Hash of an inner node: SHA-256 of 0x01 and both children.
    public static func nodeHash(_ left: Digest, _ right: Digest) -> Digest {
        .sha256(
            [UInt8](capacity: 65) { message in
                message.append(1)
                left.raw.append(to: &message)
                right.raw.append(to: &message)
            }
        )
    }

    private static let leafMark: [UInt8] = [0]

    /// Root of the tree without leaves: SHA-256 of nothing.
    public static let emptyRoot = Digest.sha256([])
}
