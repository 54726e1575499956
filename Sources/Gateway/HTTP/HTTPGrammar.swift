/// The character classes of RFC 9110 section 5.6 and of a request target, as bit sets over ASCII.
enum HTTPGrammar {
    /// Whether the byte may stand in a token: a method, a field name, a transfer coding.
    @inline(__always)
    static func isToken(_ byte: UInt8) -> Bool {
        // Below 0x40: ! # $ % & ' * + - . 0-9. Above: A-Z ^ _ ` a-z | ~.
        let set: UInt64 = byte & 0x40 == 0 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
        return byte < 0x80 && set >> UInt64(byte & 0x3F) & 1 == 1
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 <= 9 }

    /// The value of a hexadecimal digit of either case; nil for another byte.
    @inline(__always)
    static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }

    /// The lower-case form of an ASCII letter; every other byte stays.
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }

    /// Space or tab, the optional white space around field values and list elements.
    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
}

extension Span where Element == UInt8 {
    /// Whether a range equals a text in lower case, without regard to the case of ASCII letters.
    func matches(_ range: Range<Int>, _ lowercase: String) -> Bool {
        guard range.count == lowercase.utf8.count else { return false }
        var index = range.lowerBound
        for byte in lowercase.utf8 {
            if HTTPGrammar.lowercased(self[index]) != byte { return false }
            index += 1
        }
        return true
    }

    /// The range without blanks at both ends.
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, HTTPGrammar.isBlank(self[start]) { start += 1 }
        while end > start, HTTPGrammar.isBlank(self[end - 1]) { end -= 1 }
        return start..<end
    }

    /// Calls `body` for each non-empty element of a comma-separated list, without its blanks.
    func forEachElement(of range: Range<Int>, _ body: (Range<Int>) -> Void) {
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start
            while end < range.upperBound, self[end] != 0x2C { end += 1 }
            let element = trimmed(start..<end)
            if !element.isEmpty { body(element) }
            start = end + 1
        }
    }

    /// A decimal number of 1 to 18 digits and nothing else.
    func decimal(_ range: Range<Int>) -> UInt64? {
        guard (1...18).contains(range.count) else { return nil }
        var value: UInt64 = 0
        for index in range {
            guard HTTPGrammar.isDigit(self[index]) else { return nil }
            value = value * 10 + UInt64(self[index] - 0x30)
        }
        return value
    }
}
