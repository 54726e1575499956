/// Just enough gzip (RFC 1951, 1952) to make honest small bodies and bombs for tests.
public enum Gzip {
    private static let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]

    /// The bytes in one stored block; at most 65,535.
    public static func stored(_ bytes: [UInt8]) -> [UInt8] {
        precondition(bytes.count <= 0xFFFF)
        let count = UInt16(bytes.count)
        return header + [1] + littleEndian(count) + littleEndian(~count) + bytes + littleEndian(crc32(bytes))
            + littleEndian(UInt32(bytes.count))
    }

    /// A stream that inflates to about `count` zeros, a thousandth of that long, without its trailer.
    public static func bomb(_ count: Int) -> [UInt8] {
        var bits = BitWriter()
        bits.put(0b1, 1)
        bits.put(0b01, 2)
        // Fixed Huffman codes go most significant bit first: literal 0 is 00110000.
        bits.putReversed(0b0011_0000, 8)
        for _ in 0..<(count / 258) {
            // Length 258 is symbol 285; distance 1 is code 0.
            bits.putReversed(0b1100_0101, 8)
            bits.putReversed(0, 5)
        }
        bits.putReversed(0, 7)
        return header + bits.bytes
    }

    /// Endless empty stored blocks: bytes on the wire, and never one of body. The first piece has the header.
    public static let hollow = (first: header, rest: [UInt8](repeating: 0, count: 0) + [0, 0, 0, 0xFF, 0xFF])

    private static func littleEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        (0..<(Number.bitWidth / 8)).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }

    private static func crc32(_ bytes: [UInt8]) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
        }
        return ~crc
    }
}

private struct BitWriter {
    var bytes: [UInt8] = []
    private var used = 8

    mutating func put(_ value: Int, _ count: Int) {
        for bit in 0..<count {
            if used == 8 {
                bytes.append(0)
                used = 0
            }
            bytes[bytes.count - 1] |= UInt8((value >> bit) & 1) << used
            used += 1
        }
    }

    mutating func putReversed(_ value: Int, _ count: Int) {
        for bit in (0..<count).reversed() { put((value >> bit) & 1, 1) }
    }
}
