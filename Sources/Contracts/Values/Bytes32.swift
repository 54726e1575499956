/// Thirty-two bytes stored inline as four big-endian words, so that word order is byte order.
struct Bytes32: Hashable, Sendable {
    var w0: UInt64
    var w1: UInt64
    var w2: UInt64
    var w3: UInt64

    static let zero = Bytes32(w0: 0, w1: 0, w2: 0, w3: 0)

    init(w0: UInt64, w1: UInt64, w2: UInt64, w3: UInt64) {
        self.w0 = w0
        self.w1 = w1
        self.w2 = w2
        self.w3 = w3
    }

    /// Takes exactly 32 bytes; nil for any other count.
    init?(_ bytes: some Sequence<UInt8>) {
        self = .zero
        var count = 0
        for byte in bytes {
            switch count >> 3 {
            case 0: w0 = w0 << 8 | UInt64(byte)
            case 1: w1 = w1 << 8 | UInt64(byte)
            case 2: w2 = w2 << 8 | UInt64(byte)
            case 3: w3 = w3 << 8 | UInt64(byte)
            default: return nil
            }
            count += 1
        }
        guard count == 32 else { return nil }
    }

    /// Takes 32 bytes of an array from `start`; the caller has checked the bounds.
    init(_ bytes: [UInt8], at start: Int) {
        func word(_ offset: Int) -> UInt64 {
            var value: UInt64 = 0
            for index in start + offset..<start + offset + 8 { value = value << 8 | UInt64(bytes[index]) }
            return value
        }
        self.init(w0: word(0), w1: word(8), w2: word(16), w3: word(24))
    }

    /// Takes 64 digits `[0-9a-f]` of an array from `start`; nil when one is no digit. The caller has checked the bounds.
    init?(hexDigits text: [UInt8], at start: Int) {
        var valid = true
        func word(_ offset: Int) -> UInt64 {
            var value: UInt64 = 0
            for index in start + offset..<start + offset + 16 {
                guard let digit = Hex.value(of: text[index]) else {
                    valid = false
                    return 0
                }
                value = value << 4 | UInt64(digit)
            }
            return value
        }
        self.init(w0: word(0), w1: word(16), w2: word(32), w3: word(48))
        guard valid else { return nil }
    }

    init?(hex text: String) {
        self = .zero
        var count = 0
        for character in text.utf8 {
            guard let digit = Hex.value(of: character) else { return nil }
            switch count >> 4 {
            case 0: w0 = w0 << 4 | UInt64(digit)
            case 1: w1 = w1 << 4 | UInt64(digit)
            case 2: w2 = w2 << 4 | UInt64(digit)
            case 3: w3 = w3 << 4 | UInt64(digit)
            default: return nil
            }
            count += 1
        }
        guard count == 64 else { return nil }
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        append(to: &bytes)
        return bytes
    }

    func append(to bytes: inout [UInt8]) {
        Self.append(w0, to: &bytes)
        Self.append(w1, to: &bytes)
        Self.append(w2, to: &bytes)
        Self.append(w3, to: &bytes)
    }

    func appendHex(to text: inout [UInt8]) {
        for word in [w0, w1, w2, w3] {
            for shift in stride(from: 60, through: 0, by: -4) {
                text.append(Hex.digit(UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15))
            }
        }
    }

    var hex: String {
        var text: [UInt8] = []
        text.reserveCapacity(64)
        appendHex(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    private static func append(_ word: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
        }
    }
}

extension Bytes32: Comparable {
    static func < (left: Bytes32, right: Bytes32) -> Bool {
        if left.w0 != right.w0 { return left.w0 < right.w0 }
        if left.w1 != right.w1 { return left.w1 < right.w1 }
        if left.w2 != right.w2 { return left.w2 < right.w2 }
        return left.w3 < right.w3
    }
}
