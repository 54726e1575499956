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
        text.append(addingCapacity: (bytes.count + 2) / 3 * 4) { append(bytes, to: &$0) }
    }

    private static func append(_ bytes: [UInt8], to text: inout OutputSpan<UInt8>) {
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
        var isCanonical = true
        let bytes = [UInt8](capacity: text.count / 4 * 3) { isCanonical = decode(text, to: &$0) }
        return isCanonical ? bytes : nil
    }

    /// Decodes a multiple of four characters; false when they are no canonical encoding.
    private static func decode(_ text: ArraySlice<UInt8>, to bytes: inout OutputSpan<UInt8>) -> Bool {
        guard text.count > 0 else { return true }
        let values = Self.values
        var index = text.startIndex
        let last = text.endIndex - 4
        // An invalid character sets a bit above the six of a value, which is looked at once a group.
        while index < last {
            let group =
                values[Int(text[index])] << 18 | values[Int(text[index + 1])] << 12
                | values[Int(text[index + 2])] << 6 | values[Int(text[index + 3])]
            guard group >> 24 == 0 else { return false }
            bytes.append(UInt8(truncatingIfNeeded: group >> 16))
            bytes.append(UInt8(truncatingIfNeeded: group >> 8))
            bytes.append(UInt8(truncatingIfNeeded: group))
            index += 4
        }
        let padding = text[last + 3] != 0x3D ? 0 : text[last + 2] != 0x3D ? 1 : 2
        var group = values[Int(text[last])] << 18 | values[Int(text[last + 1])] << 12
        if padding < 2 { group |= values[Int(text[last + 2])] << 6 }
        if padding < 1 { group |= values[Int(text[last + 3])] }
        guard group >> 24 == 0 else { return false }
        bytes.append(UInt8(truncatingIfNeeded: group >> 16))
        if padding < 2 { bytes.append(UInt8(truncatingIfNeeded: group >> 8)) }
        if padding < 1 { bytes.append(UInt8(truncatingIfNeeded: group)) }
        // Bits that the padding leaves over are zero, else a second text would mean the same bytes.
        let leftover: UInt32 = padding == 2 ? 0xFFFF : padding == 1 ? 0xFF : 0
        return group & leftover == 0
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

    /// Six bits of each character. An invalid one has a bit at or above 24 after a shift by 0, 6, 12 or 18.
    private static let values: [UInt32] = {
        var values = [UInt32](repeating: 0xFFFF_FFC0, count: 256)
        for value: UInt32 in 0..<64 { values[Int(character(value))] = value }
        return values
    }()
}
