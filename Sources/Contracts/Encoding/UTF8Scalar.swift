/// Strict decoding of one UTF-8 sequence.
enum UTF8Scalar {
    /// The scalar at an offset and its length; nil for overlong forms, surrogates, values above U+10FFFF and cut sequences.
    @inline(__always)
    static func decode(_ bytes: [UInt8], at index: Int, before end: Int) -> (scalar: UInt32, length: Int)? {
        let lead = bytes[index]
        let length: Int
        let smallest: UInt32
        var scalar: UInt32
        switch lead {
        case 0x00...0x7F: return (UInt32(lead), 1)
        case 0xC2...0xDF: (length, smallest, scalar) = (2, 0x80, UInt32(lead & 0x1F))
        case 0xE0...0xEF: (length, smallest, scalar) = (3, 0x800, UInt32(lead & 0x0F))
        case 0xF0...0xF4: (length, smallest, scalar) = (4, 0x10000, UInt32(lead & 0x07))
        default: return nil
        }
        guard end - index >= length else { return nil }
        for offset in 1..<length {
            let byte = bytes[index + offset]
            guard byte & 0xC0 == 0x80 else { return nil }
            scalar = scalar << 6 | UInt32(byte & 0x3F)
        }
        guard scalar >= smallest, scalar <= 0x10FFFF, !(0xD800...0xDFFF).contains(scalar) else { return nil }
        return (scalar, length)
    }

    /// U+FDD0...U+FDEF and the last two scalars of each plane.
    static func isNoncharacter(_ scalar: UInt32) -> Bool {
        (0xFDD0...0xFDEF).contains(scalar) || scalar & 0xFFFE == 0xFFFE
    }
}
