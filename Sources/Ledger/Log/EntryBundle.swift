/// The leaves of a bundle: for each its length in two big-endian bytes and its bytes.
public enum EntryBundle {
    /// Longest leaf that a bundle can hold, in bytes.
    public static let longestEntry = 65535

    /// Longest bundle of 256 leaves, in bytes.
    public static let longest = 256 * (2 + longestEntry)

    /// Encodes leaves of at most 65535 bytes each.
    public static func encode(_ leaves: some Collection<[UInt8]>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(leaves.reduce(0) { $0 + $1.count + 2 })
        for leaf in leaves {
            precondition(leaf.count <= longestEntry, "a leaf of a bundle has at most 65535 bytes")
            bytes.append(UInt8(leaf.count >> 8))
            bytes.append(UInt8(leaf.count & 0xFF))
            bytes.append(contentsOf: leaf)
        }
        return bytes
    }

    /// The leaves of a bundle; nil when the bytes end inside one or, with `count`, when there are not so many.
    public static func decode(_ bytes: [UInt8], count: Int? = nil) -> [[UInt8]]? {
        var leaves: [[UInt8]] = []
        if let count { leaves.reserveCapacity(min(count, TilePath.fullWidth)) }
        var index = 0
        while index < bytes.count {
            guard bytes.count - index >= 2 else { return nil }
            let length = Int(bytes[index]) << 8 | Int(bytes[index + 1])
            index += 2
            guard bytes.count - index >= length else { return nil }
            leaves.append(Array(bytes[index..<index + length]))
            index += length
        }
        guard count == nil || count == leaves.count else { return nil }
        return leaves
    }
}
