/// The request fields that choose an answer (RFC 9110 12.5.1, 13.1.2). Pure.
enum Negotiation {
    /// Whether the Accept fields allow a media type; none allows everything.
    static func accepts(_ fields: [String], _ mediaType: String) -> Bool {
        let ranges = fields.flatMap { $0.split(separator: ",") }
        guard !ranges.isEmpty else { return true }
        let type = mediaType.split(separator: ";")[0]
        let major = String(type.split(separator: "/")[0])
        var best: (precision: Int, allows: Bool)?
        for range in ranges {
            let parts = range.split(separator: ";").map(trimmed)
            guard let name = parts.first else { continue }
            let precision: Int
            if name.isEqual(type) {
                precision = 3
            } else if name.isEqual("\(major)/*") {
                precision = 2
            } else if name.isEqual("*/*") || name.isEqual("*") {
                precision = 1
            } else {
                continue
            }
            var allows = true
            for parameter in parts.dropFirst() where parameter.lowercased().hasPrefix("q=") {
                allows = Double(String(parameter.dropFirst(2))) != 0
            }
            if precision > (best?.precision ?? 0) { best = (precision, allows) }
        }
        return best?.allows ?? false
    }

    /// Whether Accept-Encoding fields ask for gzip (RFC 9110 12.5.3); none asks for nothing.
    static func acceptsGzip(_ fields: [String]) -> Bool {
        var (named, any): (Bool?, Bool?)
        for coding in fields.flatMap({ $0.split(separator: ",") }) {
            let parts = coding.split(separator: ";").map(trimmed)
            guard let name = parts.first else { continue }
            let weight = parts.dropFirst().first { $0.lowercased().hasPrefix("q=") }
            let isWanted = weight.map { Double(String($0.dropFirst(2))) ?? 0 > 0 } ?? true
            if name.isEqual("gzip") || name.isEqual("x-gzip") {
                named = isWanted
            } else if name == "*" {
                any = isWanted
            }
        }
        return named ?? any ?? false
    }

    /// Whether an If-None-Match field names the tag.
    static func isKnown(_ fields: [String], tag: String) -> Bool {
        let known = ["*", "\"\(tag)\"", "W/\"\(tag)\""]
        for field in fields {
            for candidate in field.split(separator: ",") where known.contains(String(trimmed(candidate))) {
                return true
            }
        }
        return false
    }

    /// Whether a Content-Type field says JSON; a charset does not matter, JSON is UTF-8.
    static func isJSON(_ field: String?) -> Bool {
        guard let type = field?.split(separator: ";").first else { return false }
        return trimmed(type).isEqual("application/json")
    }

    static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.utf8.first, first == 0x20 || first == 0x09 { text.removeFirst() }
        while let last = text.utf8.last, last == 0x20 || last == 0x09 { text.removeLast() }
        return text
    }
}

/// The query of a long poll: `after=<size>&wait=<1..50>`.
struct LongPoll: Equatable {
    var after: UInt64
    /// Seconds.
    var wait: Int

    init?(query: String) {
        var after: UInt64?
        var wait: UInt64?
        for pair in query.split(separator: "&", omittingEmptySubsequences: false) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let value = Decimal53.parse(parts[1].utf8) else { return nil }
            switch parts[0] {
            case "after" where after == nil: after = value
            case "wait" where wait == nil: wait = value
            default: return nil
            }
        }
        guard let after, let wait, (1...50).contains(wait) else { return nil }
        self.after = after
        self.wait = Int(wait)
    }
}

extension StringProtocol {
    /// Equality of ASCII text without regard to case.
    func isEqual(_ other: some StringProtocol) -> Bool {
        Negotiation.trimmed(Substring(self)).utf8.elementsEqual(other.utf8) { left, right in
            left == right || (left | 0x20 == right | 0x20 && (0x61...0x7A).contains(left | 0x20))
        }
    }
}
