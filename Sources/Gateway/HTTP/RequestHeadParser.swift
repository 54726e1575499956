/// Reads request heads in place and keeps offsets only. One parser serves a loop; its storage is used again.
struct RequestHeadParser {
    enum Result: Equatable {
        case complete(RequestHead)
        case incomplete
        case failed(HeadFailure)
    }

    /// Largest head in bytes, at most 65,535.
    let limit: Int
    /// Largest number of field lines.
    let maxFields: Int
    /// The field lines of the head that `parse` completed last.
    private(set) var fields: [FieldLine] = []

    /// Longest method, in bytes; registered ones have at most 17.
    static let maxMethod = 32

    init(limit: Int = 16_384, maxFields: Int = 128) {
        self.limit = min(limit, 65_535)
        self.maxFields = maxFields
        fields.reserveCapacity(32)
    }

    /// Parses from the first byte. The result does not depend on how the bytes were cut on their way.
    mutating func parse(_ bytes: Span<UInt8>) -> Result {
        fields.removeAll(keepingCapacity: true)
        var head = RequestHead()
        var index = 0
        // One empty line in front is passed over, as RFC 9112 section 2.2 asks of servers.
        if bytes.count > 0, bytes[0] == 0x0D {
            guard bytes.count > 1 else { return .incomplete }
            guard bytes[1] == 0x0A else { return .failed(.malformed) }
            index = 2
        }
        switch requestLine(bytes, from: index, &head) {
        case .end(let next): index = next
        case .incomplete: return .incomplete
        case .failed(let failure): return .failed(failure)
        }
        switch FieldSection.read(bytes, from: index, limit: limit, maxLines: maxFields, into: &fields) {
        case .end(let end): head.length = end
        case .incomplete: return .incomplete
        case .failed(let failure): return .failed(failure)
        }
        if let failure = interpret(bytes, &head) { return .failed(failure) }
        return .complete(head)
    }

    // MARK: Request line

    private func requestLine(_ bytes: Span<UInt8>, from start: Int, _ head: inout RequestHead) -> FieldSection.Result {
        let count = min(bytes.count, limit)
        let incomplete: FieldSection.Result = bytes.count >= limit ? .failed(.tooLarge) : .incomplete
        var index = start
        while index < count, HTTPGrammar.isToken(bytes[index]) { index += 1 }
        guard index - start <= Self.maxMethod else { return .failed(.malformed) }
        guard index < count else { return incomplete }
        guard bytes[index] == 0x20, index > start else { return .failed(.malformed) }
        head.method = start..<index
        index += 1
        let target = index
        // Visible ASCII; a fragment never belongs to a target (RFC 9112 section 3.2).
        while index < count, bytes[index] > 0x20, bytes[index] < 0x7F, bytes[index] != 0x23 { index += 1 }
        guard index < count else { return incomplete }
        guard bytes[index] == 0x20, index > target else { return .failed(.malformed) }
        head.target = target..<index
        index += 1
        let version = index
        for expected in "HTTP/".utf8 {
            guard index < count else { return incomplete }
            guard bytes[index] == expected else { return .failed(.malformed) }
            index += 1
        }
        guard version + 10 <= count else { return incomplete }
        guard HTTPGrammar.isDigit(bytes[index]), bytes[index + 1] == 0x2E, HTTPGrammar.isDigit(bytes[index + 2]),
            bytes[index + 3] == 0x0D, bytes[index + 4] == 0x0A
        else { return .failed(.malformed) }
        guard bytes[index] == 0x31, bytes[index + 2] <= 0x31 else { return .failed(.version) }
        head.minor = bytes[index + 2] - 0x30
        return .end(index + 5)
    }

    // MARK: Fields

    private mutating func interpret(_ bytes: Span<UInt8>, _ head: inout RequestHead) -> HeadFailure? {
        var host: Range<Int>?
        var length: UInt64?
        var isChunked = false
        var saysClose = false
        var saysKeepAlive = false
        var saysUpgrade = false
        var upgrade: Range<Int>?
        var namedOptions = 0
        for line in fields {
            switch line.field {
            case .host:
                guard host == nil else { return .malformed }
                host = line.value
            case .contentLength:
                guard length == nil, let value = bytes.decimal(line.value) else { return .malformed }
                length = value
            case .transferEncoding:
                guard !isChunked, head.minor == 1 else { return .malformed }
                guard bytes.matches(line.value, "chunked") else { return .coding }
                isChunked = true
            case .connection:
                bytes.forEachElement(of: line.value) { option in
                    if bytes.matches(option, "close") {
                        saysClose = true
                    } else if bytes.matches(option, "keep-alive") {
                        saysKeepAlive = true
                    } else if bytes.matches(option, "upgrade") {
                        saysUpgrade = true
                    } else {
                        namedOptions += 1
                    }
                }
            case .upgrade: upgrade = upgrade.map { $0.lowerBound..<line.value.upperBound } ?? line.value
            case .expect:
                guard bytes.matches(line.value, "100-continue") else { return .expectation }
                head.expectsContinue = head.minor == 1
            default: break
            }
        }
        guard namedOptions <= ConnectionOptions.limit else { return .tooLarge }
        head.namesFields = namedOptions > 0
        // Both together are how requests are smuggled (RFC 9112 section 6.3); neither is believed.
        guard length == nil || !isChunked, let host else { return .malformed }
        head.framing = isChunked ? .chunked : length.map { $0 == 0 ? .none : .length($0) } ?? .none
        if head.framing == .none { head.expectsContinue = false }
        head.keepsAlive = !saysClose && (head.minor == 1 || saysKeepAlive)
        if let failure = target(bytes, host: host, &head) { return failure }
        if bytes.matches(head.method, "connect") || bytes.matches(head.method, "trace") { return .method }
        head.isHead = equal(bytes, head.method, "HEAD")
        head.isReplayable =
            head.framing == .none
            && (head.isHead || equal(bytes, head.method, "GET") || equal(bytes, head.method, "OPTIONS"))
        if saysUpgrade, head.minor == 1, head.framing == .none, let upgrade {
            // An upgrade to HTTP/2 would hide every later request from the gateway.
            var isHTTP2 = upgrade.isEmpty
            bytes.forEachElement(of: upgrade) { if bytes[$0.lowerBound] | 0x20 == 0x68 { isHTTP2 = true } }
            head.wantsUpgrade = !isHTTP2 && fields.count(where: { $0.field == .upgrade }) == 1
        }
        return nil
    }

    private func equal(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: String) -> Bool {
        guard range.count == text.utf8.count else { return false }
        var index = range.lowerBound
        for byte in text.utf8 {
            if bytes[index] != byte { return false }
            index += 1
        }
        return true
    }

    // MARK: Target and authority

    private func target(_ bytes: Span<UInt8>, host: Range<Int>, _ head: inout RequestHead) -> HeadFailure? {
        let target = head.target
        head.authority = host
        if bytes[target.lowerBound] == 0x2F {
            head.origin = target
        } else if target.count == 1, bytes[target.lowerBound] == 0x2A {
            guard equal(bytes, head.method, "OPTIONS") else { return .malformed }
            head.form = .asterisk
            head.origin = target
        } else if bytes.matches(head.method, "connect") {
            return .method
        } else {
            var start = target.lowerBound + 7
            if target.count > 8, bytes.matches(target.lowerBound..<start + 1, "https://") {
                start += 1
            } else if target.count <= 7 || !bytes.matches(target.lowerBound..<start, "http://") {
                return .malformed
            }
            var end = start
            while end < target.upperBound, bytes[end] != 0x2F, bytes[end] != 0x3F { end += 1 }
            head.form = .absolute
            // RFC 9112 section 3.2.2: the target's authority replaces the Host field, which must be well-formed all the same.
            guard HostField.parse(bytes, host) != nil else { return .malformed }
            head.authority = start..<end
            head.origin = end..<target.upperBound
        }
        guard let name = HostField.parse(bytes, head.authority) else { return .malformed }
        head.host = name
        var end = head.origin.lowerBound
        while end < head.origin.upperBound, bytes[end] != 0x3F { end += 1 }
        head.path = head.origin.lowerBound..<end
        return nil
    }
}
