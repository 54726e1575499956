import Crypto

/// The hash functions of the RFC 6962 tree with SHA-256.
public enum MerkleTree {
    /// Hash of a leaf: SHA-256 of 0x00 and the bytes.
    public static func leafHash(_ bytes: [UInt8]) -> Digest {
        leafHash(bytes[...])
    }

    /// Hash of a leaf: SHA-256 of 0x00 and the bytes.
    public static func leafHash(_ bytes: ArraySlice<UInt8>) -> Digest {
        var message: [UInt8] = []
        message.reserveCapacity(bytes.count + 1)
        message.append(0)
        message.append(contentsOf: bytes)
        return .sha256(message)
    }

    /// Hash of an inner node: SHA-256 of 0x01 and both children.
    public static func nodeHash(_ left: Digest, _ right: Digest) -> Digest {
        var message: [UInt8] = []
        message.reserveCapacity(65)
        message.append(1)
        left.append(to: &message)
        right.append(to: &message)
        return .sha256(message)
    }

    /// Root of the tree without leaves: SHA-256 of nothing.
    public static let emptyRoot = Digest.sha256([])
}
