/// The value of a Host field: `uri-host [":" port]`, narrowed to what can name a host of a contract.
enum HostField {
    /// The name or address without its port and without a trailing dot; nil when the value is malformed or empty.
    ///
    /// Letters, digits, `-`, `.` and `_` (some clients send it), or an address in brackets. The port is checked and not used.
    static func parse(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Range<Int>? {
        var index = value.lowerBound
        let end = value.upperBound
        var name: Range<Int>
        if index < end, bytes[index] == 0x5B {
            index += 1
            while index < end, bytes[index] == 0x3A || bytes[index] == 0x2E || HTTPGrammar.hexValue(bytes[index]) != nil
            {
                index += 1
            }
            guard index < end, bytes[index] == 0x5D, index - value.lowerBound > 2 else { return nil }
            index += 1
            name = value.lowerBound..<index
        } else {
            while index < end, isNameByte(bytes[index]) { index += 1 }
            name = value.lowerBound..<index
            if name.count > 1, bytes[name.upperBound - 1] == 0x2E { name = name.lowerBound..<name.upperBound - 1 }
            guard !name.isEmpty, name.count <= 253, bytes[name.lowerBound] != 0x2E else { return nil }
        }
        guard index < end else { return name }
        guard bytes[index] == 0x3A else { return nil }
        let port = index + 1..<end
        if port.isEmpty { return name }
        guard port.count <= 5, let number = bytes.decimal(port), number <= 65_535 else { return nil }
        return name
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        HTTPGrammar.isDigit(byte) || (byte | 0x20) &- 0x61 < 26 || byte == 0x2D || byte == 0x2E || byte == 0x5F
    }
}
