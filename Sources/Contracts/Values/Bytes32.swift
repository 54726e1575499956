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
        self.init(bytes.span, at: start)
    }

    private init(_ bytes: Span<UInt8>, at start: Int) {
        self.init(
            w0: Self.word(bytes, at: start),
            w1: Self.word(bytes, at: start + 8),
            w2: Self.word(bytes, at: start + 16),
            w3: Self.word(bytes, at: start + 24)
        )
    }

    /// Takes 64 digits `[0-9a-f]` of an array from `start`; nil when one is no digit. The caller has checked the bounds.
    init?(hexDigits text: [UInt8], at start: Int) {
        self.init(hexDigits: text.span, at: start)
    }

    /// Takes exactly 64 digits `[0-9a-f]`; nil for anything else.
    init?(hex text: String) {
        let digits = text.utf8Span.span
        guard digits.count == 64 else { return nil }
        self.init(hexDigits: digits, at: 0)
    }

    private init?(hexDigits text: Span<UInt8>, at start: Int) {
        var isValid = true
        func word(_ offset: Int) -> UInt64 {
            let high = Hex.value(ofEight: Self.word(text, at: start + offset))
            let low = Hex.value(ofEight: Self.word(text, at: start + offset + 8))
            isValid = isValid && high.isValid && low.isValid
            return UInt64(high.value) << 32 | UInt64(low.value)
        }
        self.init(w0: word(0), w1: word(16), w2: word(32), w3: word(48))
        guard isValid else { return nil }
    }

    /// Eight bytes as a big-endian word.
    @inline(__always)
    private static func word(_ bytes: Span<UInt8>, at start: Int) -> UInt64 {
        var value: UInt64 = 0
        var offset = start
        while offset < start + 8 {
            value = value << 8 | UInt64(bytes[offset])
            offset += 1
        }
        return value
    }

    var bytes: [UInt8] {
        [UInt8](capacity: 32) { append(to: &$0) }
    }

    func append(to bytes: inout [UInt8]) {
        bytes.append(addingCapacity: 32) { append(to: &$0) }
    }

    @inline(__always)
    func append(to bytes: inout OutputSpan<UInt8>) {
        Self.append(w0, to: &bytes)
        Self.append(w1, to: &bytes)
        Self.append(w2, to: &bytes)
        Self.append(w3, to: &bytes)
    }

    func appendHex(to text: inout [UInt8]) {
        text.append(addingCapacity: 64) { appendHex(to: &$0) }
    }

    var hex: String {
        var text: [UInt8] = []
        appendHex(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    @inline(__always)
    private func appendHex(to text: inout OutputSpan<UInt8>) {
        Self.appendHex(w0, to: &text)
        Self.appendHex(w1, to: &text)
        Self.appendHex(w2, to: &text)
        Self.appendHex(w3, to: &text)
    }

    @inline(__always)
    private static func appendHex(_ word: UInt64, to text: inout OutputSpan<UInt8>) {
        append(Hex.eightDigits(UInt32(truncatingIfNeeded: word >> 32)), to: &text)
        append(Hex.eightDigits(UInt32(truncatingIfNeeded: word)), to: &text)
    }

    @inline(__always)
    private static func append(_ word: UInt64, to bytes: inout OutputSpan<UInt8>) {
        var shift: UInt64 = 64
        while shift > 0 {
            shift -= 8
            bytes.append(UInt8(truncatingIfNeeded: word >> shift))
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
