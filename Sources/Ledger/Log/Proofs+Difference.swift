public import Contracts

extension Proofs {
    /// Index of the first of `size` leaves at which two trees differ; nil when the trees agree on all of them.
    ///
    /// Reads about two hashes of each tree for each level of its height. What the readers give is compared, not verified.
    public static func firstDifference(
        size: UInt64,
        _ left: SubtreeReader,
        _ right: SubtreeReader
    ) rethrows -> UInt64? {
        var start: UInt64 = 0
        for level in stride(from: 63, through: 0, by: -1) where size >> UInt64(level) & 1 == 1 {
            let index = start >> UInt64(level)
            if try left(level, index) != right(level, index) {
                return try firstDifference(below: level, index, left, right)
            }
            start += 1 << UInt64(level)
        }
        return nil
    }

    /// Two perfect subtrees differ, so one of their halves does.
    private static func firstDifference(
        below top: Int,
        _ subtree: UInt64,
        _ left: SubtreeReader,
        _ right: SubtreeReader
    ) rethrows -> UInt64 {
        var index = subtree
        for level in stride(from: top - 1, through: 0, by: -1) {
            index *= 2
            if try left(level, index) == right(level, index) { index += 1 }
        }
        return index
    }
}
