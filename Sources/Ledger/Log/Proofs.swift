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
        if first == second { return first > 0 && proof.isEmpty && firstRoot == secondRoot }
        guard let roots = consistencyRoots(from: first, root: firstRoot, to: second, proof: proof) else { return false }
        return roots.first == firstRoot && roots.second == secondRoot
    }

    /// The two roots that a consistency proof between different sizes leads to; nil when it has the wrong length.
    ///
    /// When the second is the root of a larger tree, the first is the root that this tree had at the smaller size: so a
    /// proof in another history shows which one it belongs to. `root` is used only where the first tree is complete,
    /// and is then the answer.
    static func consistencyRoots(
        from first: UInt64,
        root firstRoot: Digest,
        to second: UInt64,
        proof: [Digest]
    ) -> (first: Digest, second: Digest)? {
        guard first > 0, first < second else { return nil }
        var path = proof[...]
        // A complete first tree is itself the first node of the path.
        if first & (first - 1) == 0 { path = ([firstRoot] + proof)[...] }
        guard let start = path.popFirst() else { return nil }
        var node = first - 1
        var last = second - 1
        while node & 1 == 1 {
            node >>= 1
            last >>= 1
        }
        var firstHash = start
        var secondHash = start
        for sibling in path {
            guard last > 0 else { return nil }
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
        return last == 0 ? (firstHash, secondHash) : nil
    }
}
