/// Lower-case hexadecimal text of bytes.
public enum Hex {
    /// Two digits `[0-9a-f]` for each byte.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(2 * bytes.underestimatedCount)
        for byte in bytes {
            text.append(digit(byte >> 4))
            text.append(digit(byte & 15))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Bytes of a text with an even number of digits `[0-9a-f]`; nil for anything else, upper case included.
    public static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count / 2)
        var high: UInt8?
        for character in text.utf8 {
            guard let value = value(of: character) else { return nil }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return high == nil ? bytes : nil
    }

    @inline(__always)
    static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? 0x30 &+ value : 0x57 &+ value
    }

    @inline(__always)
    static func value(of character: UInt8) -> UInt8? {
        switch character {
        case 0x30...0x39: character &- 0x30
        case 0x61...0x66: character &- 0x57
        default: nil
        }
    }

    // MARK: Eight at a time

    private static let ones: UInt64 = 0x0101_0101_0101_0101

    /// The number that eight digits mean; the first digit is the highest byte. `isValid` says whether all are digits.
    ///
    /// The eight bytes of the word are worked on at once: digits have no branch that a processor could foresee.
    @inline(__always)
    static func value(ofEight text: UInt64) -> (value: UInt32, isValid: Bool) {
        // Bit 6 tells `a...f` from `0...9`; a letter is worth nine more than its low half.
        let letters = text >> 6 & ones
        var halves = (text & (ones &* 0x0F)) &+ letters &* 9
        // Writing the digits again gives the same text only for 0x30...0x3F and 0x60...0x6F; of those, values of ten and
        // more are letters, and no value is above 15.
        let written = halves &+ ones &* 0x30 &+ letters &* 39
        let isTenOrMore = (halves &+ ones &* 6) >> 4 & ones
        let isValid = written == text && isTenOrMore == letters && halves & (ones &* 0x10) == 0
        halves = (halves | halves >> 4) & 0x00FF_00FF_00FF_00FF
        halves = (halves | halves >> 8) & 0x0000_FFFF_0000_FFFF
        return (UInt32(truncatingIfNeeded: halves | halves >> 16), isValid)
    }

    /// The eight digits of a number; the first digit is the highest byte.
    @inline(__always)
    static func eightDigits(_ number: UInt32) -> UInt64 {
        var halves = UInt64(number)
        halves = (halves | halves << 16) & 0x0000_FFFF_0000_FFFF
        halves = (halves | halves << 8) & 0x00FF_00FF_00FF_00FF
        halves = (halves | halves << 4) & (ones &* 0x0F)
        let letters = (halves &+ ones &* 6) >> 4 & ones
        return halves &+ ones &* 0x30 &+ letters &* 39
    }
}
