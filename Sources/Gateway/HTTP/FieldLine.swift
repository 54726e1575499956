/// Where one field line lies in the head: offsets, never bytes, so that a head is read in place.
struct FieldLine: Equatable {
    var nameStart: UInt16
    var nameEnd: UInt16
    var valueStart: UInt16
    var valueEnd: UInt16
    var field: FieldName

    var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
    /// Without the blanks around it.
    var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
    /// Name, colon, blanks and value as they came, without the line end.
    var line: Range<Int> { Int(nameStart)..<Int(valueEnd) }
}

/// Why a head was refused.
enum HeadFailure: UInt8, Error, CaseIterable {
    /// Outside the grammar of RFC 9112.
    case malformed
    /// More bytes or more fields than the limit.
    case tooLarge
    /// A major or minor version other than 1.0 and 1.1.
    case version
    /// A transfer coding other than exactly `chunked`.
    case coding
    /// CONNECT and TRACE, which a gateway does not pass on.
    case method
    /// An expectation other than `100-continue`.
    case expectation
}

/// Reads the field lines of heads and of trailer sections, strictly: a line ends with CRLF, a name is a token directly
/// followed by a colon, a value has no control characters, and no line continues another (RFC 9112 sections 2.2 and 5).
enum FieldSection {
    enum Result: Equatable {
        /// The empty line was reached; the place after it.
        case end(Int)
        case incomplete
        case failed(HeadFailure)
    }

    /// Appends the lines from `start` on to `lines`. Reads at most `limit` bytes of the span and `maxLines` lines.
    static func read(
        _ bytes: Span<UInt8>,
        from start: Int,
        limit: Int,
        maxLines: Int,
        into lines: inout [FieldLine]
    ) -> Result {
        let count = min(bytes.count, limit)
        var index = start
        while true {
            guard index < count else { return incomplete(bytes.count, limit) }
            if bytes[index] == 0x0D {
                guard index + 1 < count else { return incomplete(bytes.count, limit) }
                return bytes[index + 1] == 0x0A ? .end(index + 2) : .failed(.malformed)
            }
            let name = index
            while index < count, HTTPGrammar.isToken(bytes[index]) { index += 1 }
            guard index < count else { return incomplete(bytes.count, limit) }
            guard bytes[index] == 0x3A, index > name else { return .failed(.malformed) }
            let nameEnd = index
            index += 1
            while index < count, HTTPGrammar.isBlank(bytes[index]) { index += 1 }
            let value = index
            while true {
                index = bytes.firstControl(from: index)
                guard index < count else { return incomplete(bytes.count, limit) }
                guard bytes[index] == 0x09 else { break }
                index += 1
            }
            guard bytes[index] == 0x0D else { return .failed(.malformed) }
            guard index + 1 < count else { return incomplete(bytes.count, limit) }
            guard bytes[index + 1] == 0x0A else { return .failed(.malformed) }
            guard lines.count < maxLines else { return .failed(.tooLarge) }
            let trimmed = bytes.trimmed(value..<index)
            lines.append(
                FieldLine(
                    nameStart: UInt16(name),
                    nameEnd: UInt16(nameEnd),
                    valueStart: UInt16(trimmed.lowerBound),
                    valueEnd: UInt16(trimmed.upperBound),
                    field: FieldName(bytes, name..<nameEnd)
                )
            )
            index += 2
        }
    }

    private static func incomplete(_ count: Int, _ limit: Int) -> Result {
        count >= limit ? .failed(.tooLarge) : .incomplete
    }
}
