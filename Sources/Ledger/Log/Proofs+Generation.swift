public import Contracts

extension Proofs {
    /// Gives the hash of a perfect subtree: 2^level leaves from leaf `index` * 2^level on.
    public typealias SubtreeReader = (_ level: Int, _ index: UInt64) throws -> Digest

    /// The inclusion proof of a leaf in the tree of `size` leaves, the lowest sibling first. Requires `index` < `size`.
    public static func inclusion(index: UInt64, size: UInt64, read: SubtreeReader) rethrows -> [Digest] {
        precondition(index < size, "the leaf lies in the tree")
        var proof: [Digest] = []
        var (low, high) = (UInt64(0), size)
        while high - low > 1 {
            let middle = low + split(high - low)
            if index < middle {
                proof.append(try root(of: middle..<high, read: read))
                high = middle
            } else {
                proof.append(try root(of: low..<middle, read: read))
                low = middle
            }
        }
        return proof.reversed()
    }

    /// The consistency proof between two sizes, 0 < `first` <= `second`.
    public static func consistency(from first: UInt64, to second: UInt64, read: SubtreeReader) rethrows -> [Digest] {
        precondition(
            first > 0 && first <= second,
            "a consistency proof leads from a tree with leaves to one not smaller"
        )
        var proof: [Digest] = []
        var (low, high) = (UInt64(0), second)
        // SUBPROOF of RFC 9162, section 2.1.4.1, walked from the top.
        while first != high {
            let middle = low + split(high - low)
            if first <= middle {
                proof.append(try root(of: middle..<high, read: read))
                high = middle
            } else {
                proof.append(try root(of: low..<middle, read: read))
                low = middle
            }
        }
        if low > 0 { proof.append(try root(of: low..<high, read: read)) }
        return proof.reversed()
    }

    /// Root hash of the leaves of a range that begins at a multiple of the largest power of two it holds.
    public static func root(of range: Range<UInt64>, read: SubtreeReader) rethrows -> Digest {
        guard !range.isEmpty else { return MerkleTree.emptyRoot }
        let count = range.upperBound - range.lowerBound
        if count & (count - 1) == 0 {
            let level = count.trailingZeroBitCount
            return try read(level, range.lowerBound >> UInt64(level))
        }
        let middle = range.lowerBound + split(count)
        return MerkleTree.nodeHash(
            try root(of: range.lowerBound..<middle, read: read),
            try root(of: middle..<range.upperBound, read: read)
        )
    }

    /// The right edge of the tree of `size` leaves.
    public static func compactRange(size: UInt64, read: SubtreeReader) rethrows -> CompactRange {
        var hashes: [Digest] = []
        var start: UInt64 = 0
        for level in stride(from: 63, through: 0, by: -1) where size >> UInt64(level) & 1 == 1 {
            hashes.append(try read(level, start >> UInt64(level)))
            start += 1 << UInt64(level)
        }
        guard let range = CompactRange(size: size, hashes: hashes) else {
            preconditionFailure("one hash for each bit of the size")
        }
        return range
    }

    /// The largest power of two below a count of two or more.
    private static func split(_ count: UInt64) -> UInt64 {
        1 << UInt64(63 - (count - 1).leadingZeroBitCount)
    }
}
