/// What a response head of a workload says, as offsets into the bytes that were parsed.
struct ResponseHead: Equatable {
    var length = 0
    var status = 0
    /// Status code and reason phrase, as they go to the visitor.
    var statusAndReason: Range<Int> = 0..<0
    var framing = BodyFraming.none
    /// Whether the workload keeps its connection for another request.
    var keepsAlive = true
    var namesFields = false

    /// 1xx but 101: another head follows.
    var isInterim: Bool { status / 100 == 1 && status != 101 }
}

/// Reads response heads in place. Stricter than a browser: a head that two readers could understand in two ways is refused.
struct ResponseHeadParser {
    enum Result: Equatable {
        case complete(ResponseHead)
        case incomplete
        case failed(HeadFailure)
    }

    let limit: Int
    let maxFields: Int
    private(set) var fields: [FieldLine] = []

    init(limit: Int = 32_768, maxFields: Int = 256) {
        self.limit = min(limit, 65_535)
        self.maxFields = maxFields
        fields.reserveCapacity(32)
    }

    /// Parses the head of an answer to HEAD (`toHead`) or to another method.
    mutating func parse(_ bytes: Span<UInt8>, toHead: Bool) -> Result {
        fields.removeAll(keepingCapacity: true)
        var head = ResponseHead()
        var minor: UInt8 = 1
        let start: Int
        switch Self.statusLine(bytes, limit, &head, &minor) {
        case .end(let next): start = next
        case .incomplete: return .incomplete
        case .failed(let failure): return .failed(failure)
        }
        switch FieldSection.read(bytes, from: start, limit: limit, maxLines: maxFields, into: &fields) {
        case .end(let end): head.length = end
        case .incomplete: return .incomplete
        case .failed(let failure): return .failed(failure)
        }
        if let failure = interpret(bytes, minor: minor, toHead: toHead, &head) { return .failed(failure) }
        return .complete(head)
    }

    private static func statusLine(
        _ bytes: Span<UInt8>,
        _ limit: Int,
        _ head: inout ResponseHead,
        _ minor: inout UInt8
    ) -> FieldSection.Result {
        let count = min(bytes.count, limit)
        var index = 0
        for expected in "HTTP/1.".utf8 {
            guard index < count else { return .incomplete }
            guard bytes[index] == expected else { return .failed(.malformed) }
            index += 1
        }
        guard count >= 14 else { return .incomplete }
        guard HTTPGrammar.isDigit(bytes[7]), bytes[8] == 0x20,
            let status = bytes.decimal(9..<12), (100...999).contains(status)
        else { return .failed(.malformed) }
        minor = bytes[7] - 0x30
        head.status = Int(status)
        guard bytes[12] == 0x20 || bytes[12] == 0x0D else { return .failed(.malformed) }
        index = 12
        while true {
            index = bytes.firstControl(from: index)
            guard index < count else { return bytes.count >= limit ? .failed(.tooLarge) : .incomplete }
            guard bytes[index] == 0x09 else { break }
            index += 1
        }
        guard bytes[index] == 0x0D else { return .failed(.malformed) }
        guard index + 1 < count else { return .incomplete }
        guard bytes[index + 1] == 0x0A else { return .failed(.malformed) }
        head.statusAndReason = 9..<index
        return .end(index + 2)
    }

    private func interpret(
        _ bytes: Span<UInt8>,
        minor: UInt8,
        toHead: Bool,
        _ head: inout ResponseHead
    ) -> HeadFailure? {
        var length: UInt64?
        var isChunked = false
        var saysClose = false
        var saysKeepAlive = false
        var namedOptions = 0
        for line in fields {
            switch line.field {
            case .contentLength:
                guard let value = bytes.decimal(line.value), length == nil || length == value else { return .malformed }
                length = value
            case .transferEncoding:
                guard !isChunked, minor >= 1 else { return .malformed }
                guard bytes.matches(line.value, "chunked") else { return .coding }
                isChunked = true
            case .connection:
                bytes.forEachElement(of: line.value) { option in
                    if bytes.matches(option, "close") {
                        saysClose = true
                    } else if bytes.matches(option, "keep-alive") {
                        saysKeepAlive = true
                    } else if !bytes.matches(option, "upgrade") {
                        namedOptions += 1
                    }
                }
            default: break
            }
        }
        guard namedOptions <= ConnectionOptions.limit else { return .tooLarge }
        head.namesFields = namedOptions > 0
        guard length == nil || !isChunked else { return .malformed }
        if toHead || head.status / 100 == 1 || head.status == 204 || head.status == 304 {
            head.framing = .none
        } else if isChunked {
            head.framing = .chunked
        } else if let length {
            head.framing = length == 0 ? .none : .length(length)
        } else {
            head.framing = .untilClose
        }
        head.keepsAlive = !saysClose && (minor >= 1 || saysKeepAlive) && head.framing != .untilClose
        return nil
    }
}
