/// Base64 of RFC 4648 section 4 with padding; a decoder takes nothing but the encoding of its result.
public enum Base64 {
    /// The one encoding of the bytes.
    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        append(bytes, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the encoding to a text without an intermediate string.
    public static func append(_ bytes: [UInt8], to text: inout [UInt8]) {
        text.reserveCapacity(text.count + (bytes.count + 2) / 3 * 4)
        var index = 0
        while index + 3 <= bytes.count {
            let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
            text.append(character(group >> 18))
            text.append(character(group >> 12 & 63))
            text.append(character(group >> 6 & 63))
            text.append(character(group & 63))
            index += 3
        }
        switch bytes.count - index {
        case 1:
            let group = UInt32(bytes[index]) << 16
            text.append(character(group >> 18))
            text.append(character(group >> 12 & 63))
            text.append(0x3D)
            text.append(0x3D)
        case 2:
            let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8
            text.append(character(group >> 18))
            text.append(character(group >> 12 & 63))
            text.append(character(group >> 6 & 63))
            text.append(0x3D)
        default:
            break
        }
    }

    /// Bytes of a canonical encoding; nil for anything else.
    public static func decode(_ text: String) -> [UInt8]? {
        decode(Array(text.utf8)[...])
    }

    /// Bytes of a canonical encoding; nil for anything else.
    public static func decode(_ text: [UInt8]) -> [UInt8]? {
        decode(text[...])
    }

    /// Bytes of a canonical encoding; nil for anything else.
    public static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        guard !text.isEmpty else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var index = text.startIndex
        let last = text.endIndex - 4
        // An invalid character sets a bit above the six of a value, which is looked at once a group.
        while index < last {
            let group =
                value(text[index]) << 18 | value(text[index + 1]) << 12 | value(text[index + 2]) << 6
                | value(text[index + 3])
            guard group >> 24 == 0 else { return nil }
            bytes.append(UInt8(truncatingIfNeeded: group >> 16))
            bytes.append(UInt8(truncatingIfNeeded: group >> 8))
            bytes.append(UInt8(truncatingIfNeeded: group))
            index += 4
        }
        let padding = text[last + 3] != 0x3D ? 0 : text[last + 2] != 0x3D ? 1 : 2
        var group = value(text[last]) << 18 | value(text[last + 1]) << 12
        if padding < 2 { group |= value(text[last + 2]) << 6 }
        if padding < 1 { group |= value(text[last + 3]) }
        guard group >> 24 == 0 else { return nil }
        bytes.append(UInt8(truncatingIfNeeded: group >> 16))
        if padding < 2 { bytes.append(UInt8(truncatingIfNeeded: group >> 8)) }
        if padding < 1 { bytes.append(UInt8(truncatingIfNeeded: group)) }
        // Bits that the padding leaves over are zero, else a second text would mean the same bytes.
        let leftover: UInt32 = padding == 2 ? 0xFFFF : padding == 1 ? 0xFF : 0
        return group & leftover == 0 ? bytes : nil
    }

    @inline(__always)
    private static func character(_ value: UInt32) -> UInt8 {
        switch value {
        case 0..<26: UInt8(truncatingIfNeeded: 0x41 + value)
        case 26..<52: UInt8(truncatingIfNeeded: 0x61 - 26 + value)
        case 52..<62: UInt8(truncatingIfNeeded: 0x30 &+ value &- 52)
        case 62: 0x2B
        default: 0x2F
        }
    }

    /// Six bits; an invalid character gives 0x8000_0000 shifted so far that the upper byte of a group is never zero.
    @inline(__always)
    private static func value(_ character: UInt8) -> UInt32 {
        switch character {
        case 0x41...0x5A: UInt32(character) &- 0x41
        case 0x61...0x7A: UInt32(character) &- 0x61 &+ 26
        case 0x30...0x39: UInt32(character) &- 0x30 &+ 52
        case 0x2B: 62
        case 0x2F: 63
        default: invalid
        }
    }

    /// Survives a shift by 0, 6, 12 or 18 with a bit at or above 24.
    private static let invalid: UInt32 = 0xFFFF_FFC0
}
