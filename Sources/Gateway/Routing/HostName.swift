/// A host as an index finds and compares it: in lower case, eight bytes to a word; a wildcard without its `*`, so as `.example.org`.
/// Plain memory: making one allocates nothing and counts no references.
struct HostName: Sendable {
    /// Bytes of the longest host.
    static let longest = 255
    /// Bytes that `words` hold; what is behind them in a longer name they do not tell.
    static let wordBytes = 47

    /// The first 47 bytes, zeros behind the end, and the length in the last byte, so that nothing but vacant memory ends with zero.
    private(set) var words = InlineArray<6, UInt64>(repeating: 0)
    /// Of the whole name. Its collisions cannot be found by those who do not know the seed.
    let hash: UInt64

    /// The name in `range`, in either case, of 1 to 255 bytes.
    @inline(__always)
    init(_ bytes: Span<UInt8>, _ range: Range<Int>, seed: UInt64) {
        var hash = Self.mix(seed ^ UInt64(range.count), 0x9E37_79B9_7F4A_7C15)
        for place in 0..<((range.count + 7) / 8) {
            let word = Self.lowercased(Self.word(bytes, range, place))
            hash = Self.mix(hash ^ word, 0xA076_1D64_78BD_642F)
            if place < 6 { words[place] = word }
        }
        words[5] = words[5] & 0x00FF_FFFF_FFFF_FFFF | UInt64(range.count) << 56
        self.hash = Self.mix(hash, seed | 1)
    }

    /// The name whose words these are, if they tell all of it.
    init?(words: InlineArray<6, UInt64>, seed: UInt64) {
        let count = Int(words[5] >> 56)
        guard count <= Self.wordBytes else { return nil }
        var hash = Self.mix(seed ^ UInt64(count), 0x9E37_79B9_7F4A_7C15)
        for place in 0..<((count + 7) / 8) {
            hash = Self.mix(
                hash ^ (place == 5 ? words[5] & 0x00FF_FFFF_FFFF_FFFF : words[place]),
                0xA076_1D64_78BD_642F
            )
        }
        self.words = words
        self.hash = Self.mix(hash, seed | 1)
    }

    /// Whether it is a wildcard's.
    var isWildcard: Bool { words[0] & 0xFF == 0x2E }

    /// Eight bytes of a name, the first one lowest, and zeros behind its end.
    @inline(__always)
    private static func word(_ bytes: Span<UInt8>, _ range: Range<Int>, _ place: Int) -> UInt64 {
        let start = range.lowerBound + 8 * place
        let left = range.upperBound - start
        if left >= 8 { return bytes.word(at: start) }
        // The last eight of the name hold what is left of it.
        if place > 0 { return bytes.word(at: range.upperBound - 8) >> UInt64(64 - 8 * left) }
        var word: UInt64 = 0
        for offset in 0..<left { word |= UInt64(bytes[start + offset]) << UInt64(8 * offset) }
        return word
    }

    /// Sets bit 5 of every byte from `A` to `Z`.
    @inline(__always)
    private static func lowercased(_ word: UInt64) -> UInt64 {
        let low = word & 0x7F7F_7F7F_7F7F_7F7F
        let fromA = low &+ 0x3F3F_3F3F_3F3F_3F3F
        let beyondZ = low &+ 0x2525_2525_2525_2525
        let upper = (fromA ^ beyondZ) & ~word & 0x8080_8080_8080_8080
        return word | upper >> 2
    }

    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    @inline(__always)
    private static func mix(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let product = one.multipliedFullWidth(by: other)
        return product.high ^ product.low
    }
}
