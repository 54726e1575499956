/// Follows a chunked body (RFC 9112 section 7.1) and says which of its bytes go on.
///
/// Sizes are 1 to 16 hexadecimal digits directly followed by CRLF or an extension; extensions are dropped and bounded;
/// every line ends with CRLF and nothing else. The trailer section is left to the caller, who must see it whole.
struct ChunkedBody: Equatable {
    enum Step: Equatable {
        /// Bytes up to this place go on as they are.
        case pass(Int)
        /// Bytes up to this place are not passed on.
        case drop(Int)
        /// The trailer section begins at the place that was given.
        case trailers
        case failed
    }

    private enum State: Equatable {
        case size(digits: UInt8)
        case extensions
        case sizeEnd
        case data
        case dataCR
        case dataLF
        case trailers
    }

    /// All extensions of a body together, in bytes. Nothing in use needs any.
    static let maxExtensions = 4096

    private var state = State.size(digits: 0)
    private var remaining: UInt64 = 0
    private var extensionBytes = 0
    private let keepsFraming: Bool

    /// - Parameter keepsFraming: whether chunk sizes and line ends go on too; else the content alone.
    init(keepsFraming: Bool) {
        self.keepsFraming = keepsFraming
    }

    /// Whether the last chunk was seen and the trailer section comes next.
    var isAtTrailers: Bool { state == .trailers }

    /// The next stretch from `start`, which is below the span's count.
    mutating func next(_ bytes: Span<UInt8>, from start: Int) -> Step {
        if state == .trailers { return .trailers }
        var passes: Bool?
        var index = start
        while index < bytes.count, state != .trailers {
            if state == .data {
                if passes == false { break }
                passes = true
                let count = min(UInt64(bytes.count - index), remaining)
                index += Int(count)
                remaining -= count
                if remaining == 0 { state = .dataCR }
            } else {
                var advanced = self
                guard advanced.advance(bytes[index]) else { return .failed }
                let goesOn = keepsFraming && advanced.state != .extensions
                if let passes, passes != goesOn { break }
                passes = goesOn
                self = advanced
                index += 1
            }
        }
        return passes == true ? .pass(index) : .drop(index)
    }

    private mutating func advance(_ byte: UInt8) -> Bool {
        switch state {
        case .size(let digits):
            if let value = HTTPGrammar.hexValue(byte) {
                guard digits < 16, remaining >> 59 == 0 else { return false }
                remaining = remaining << 4 | UInt64(value)
                state = .size(digits: digits + 1)
            } else if byte == 0x0D, digits > 0 {
                state = .sizeEnd
            } else if byte == 0x3B, digits > 0 {
                state = .extensions
                return countExtension()
            } else {
                return false
            }
        case .extensions:
            if byte == 0x0D {
                state = .sizeEnd
            } else {
                guard byte == 0x09 || (byte >= 0x20 && byte < 0x7F) else { return false }
                return countExtension()
            }
        case .sizeEnd:
            guard byte == 0x0A else { return false }
            state = remaining == 0 ? .trailers : .data
        case .dataCR:
            guard byte == 0x0D else { return false }
            state = .dataLF
        case .dataLF:
            guard byte == 0x0A else { return false }
            state = .size(digits: 0)
        case .data, .trailers:
            return false
        }
        return true
    }

    private mutating func countExtension() -> Bool {
        extensionBytes += 1
        return extensionBytes <= Self.maxExtensions
    }
}
