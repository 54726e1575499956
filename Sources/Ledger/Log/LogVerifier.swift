public import Contracts

/// Extends a trusted tree by leaves that nobody has looked into yet, up to a checkpoint.
///
/// Leaves are only hashed here. They may be parsed once `verified(against:)` gave a proof that they are the log's.
public struct LogVerifier: Sendable {
    /// Right edge after the leaves so far.
    public private(set) var range: CompactRange

    /// Begins at a trusted right edge, or at the empty tree.
    public init(from range: CompactRange = CompactRange()) {
        self.range = range
    }

    /// Hashes leaves in their order.
    public mutating func append(_ leaves: some Sequence<[UInt8]>) {
        for leaf in leaves { range.append(MerkleTree.leafHash(leaf)) }
    }

    /// Takes leaf hashes in their order.
    public mutating func append(hashes: some Sequence<Digest>) {
        for hash in hashes { range.append(hash) }
    }

    /// The right edge, when size and root are those of the checkpoint; else `entries.mismatch`.
    public func verified(against checkpoint: Checkpoint) throws(VerificationResult) -> CompactRange {
        guard range.size == checkpoint.size, range.root == checkpoint.root else { throw .entriesMismatch }
        return range
    }
}
