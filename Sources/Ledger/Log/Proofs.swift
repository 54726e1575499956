public import Contracts

/// Inclusion and consistency proofs of RFC 9162, section 2.1.
public enum Proofs {
    /// Verifies an inclusion proof (section 2.1.3.2). Indices and sizes are those of untrusted notes: any value is safe.
    public static func verifyInclusion(
        index: UInt64,
        size: UInt64,
        leafHash: Digest,
        proof: [Digest],
        root: Digest
    ) -> Bool {
        guard index < size else { return false }
        var node = index
        var last = size - 1
        var hash = leafHash
        for sibling in proof {
            guard last > 0 else { return false }
            if node & 1 == 1 || node == last {
                hash = MerkleTree.nodeHash(sibling, hash)
                while node & 1 == 0, node != 0 {
                    node >>= 1
                    last >>= 1
                }
            } else {
                hash = MerkleTree.nodeHash(hash, sibling)
            }
            node >>= 1
            last >>= 1
        }
        return last == 0 && hash == root
    }

    /// Verifies a consistency proof (section 2.1.4.2). A first size of zero proves nothing and is refused.
    public static func verifyConsistency(
        from first: UInt64,
        root firstRoot: Digest,
        to second: UInt64,
        root secondRoot: Digest,
        proof: [Digest]
    ) -> Bool {
        guard first > 0, first <= second else { return false }
        if first == second { return proof.isEmpty && firstRoot == secondRoot }
        var path = proof[...]
        // A complete first tree is itself the first node of the path.
        if first & (first - 1) == 0 { path = ([firstRoot] + proof)[...] }
        guard let start = path.popFirst() else { return false }
        var node = first - 1
        var last = second - 1
        while node & 1 == 1 {
            node >>= 1
            last >>= 1
        }
        var firstHash = start
        var secondHash = start
        for sibling in path {
            guard last > 0 else { return false }
            if node & 1 == 1 || node == last {
                firstHash = MerkleTree.nodeHash(sibling, firstHash)
                secondHash = MerkleTree.nodeHash(sibling, secondHash)
                while node & 1 == 0, node != 0 {
                    node >>= 1
                    last >>= 1
                }
            } else {
                secondHash = MerkleTree.nodeHash(secondHash, sibling)
            }
            node >>= 1
            last >>= 1
        }
        return last == 0 && firstHash == firstRoot && secondHash == secondRoot
    }
}
