/// An IPv4 or IPv6 address as a number, most significant bit first.
public enum IPAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(UInt64, UInt64)

    /// Parses dotted IPv4 without leading zeros, or IPv6 in exactly the form of RFC 5952 without a dotted part.
    ///
    /// Unlike `Grammar.isIPv6` this takes `::`, `::1` and mapped addresses too, for addresses of this host and of visitors.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 39 else { return nil }
        if bytes.contains(0x3A) {
            guard let groups = Self.groups(bytes) else { return nil }
            func word(_ from: Int) -> UInt64 { groups[from..<from + 4].reduce(0) { $0 << 16 | UInt64($1) } }
            self = .v6(word(0), word(4))
            // One text for one address: whatever another spelling says, it is no address here.
            guard bytes.elementsEqual(description.utf8) else { return nil }
        } else {
            guard let number = Self.dotted(bytes) else { return nil }
            self = .v4(number)
        }
    }

    /// Whether an IPv6 address lies in ::/96 or ::ffff:0:0/96, where it would be a second name of an IPv4 address.
    public var embedsIPv4: Bool {
        guard case .v6(0, let low) = self else { return false }
        return low >> 32 == 0 || low >> 32 == 0xFFFF
    }

    private static func dotted(_ bytes: [UInt8]) -> UInt32? {
        var number: UInt32 = 0
        var parts = 0
        for part in bytes.split(separator: 0x2E, maxSplits: 4, omittingEmptySubsequences: false) {
            guard (1...3).contains(part.count), part.allSatisfy(Grammar.isDigit), part.count == 1 || part.first != 0x30
            else { return nil }
            let value = part.reduce(0 as UInt32) { $0 * 10 + UInt32($1 - 0x30) }
            guard value <= 255 else { return nil }
            number = number << 8 | value
            parts += 1
        }
        return parts == 4 ? number : nil
    }

    private static func groups(_ bytes: [UInt8]) -> [UInt16]? {
        var groups: [UInt16] = []
        var gap: Int?
        var index = 0
        if bytes.starts(with: [0x3A, 0x3A]) {
            gap = 0
            index = 2
        }
        while index < bytes.count {
            var value: UInt16 = 0
            let start = index
            while index < bytes.count, index - start < 4, let digit = Hex.value(of: bytes[index]) {
                value = value << 4 | UInt16(digit)
                index += 1
            }
            guard index > start, groups.count < 8 else { return nil }
            groups.append(value)
            guard index < bytes.count else { break }
            guard bytes[index] == 0x3A else { return nil }
            index += 1
            guard index < bytes.count else { return nil }
            if bytes[index] == 0x3A {
                guard gap == nil else { return nil }
                gap = groups.count
                index += 1
            }
        }
        guard let gap else { return groups.count == 8 ? groups : nil }
        guard groups.count < 8 else { return nil }
        groups.insert(contentsOf: [UInt16](repeating: 0, count: 8 - groups.count), at: gap)
        return groups
    }
}

extension IPAddress: CustomStringConvertible {
    /// Dotted IPv4, or IPv6 in the form of RFC 5952 without a dotted part.
    public var description: String {
        switch self {
        case .v4(let number):
            return "\(number >> 24).\(number >> 16 & 255).\(number >> 8 & 255).\(number & 255)"
        case .v6(let high, let low):
            let groups = [high, low].flatMap { word in
                [48, 32, 16, 0].map { UInt16(truncatingIfNeeded: word >> UInt64($0)) }
            }
            let run = Self.longestZeroRun(groups)
            var text = ""
            for (index, group) in groups.enumerated() {
                if run.contains(index) {
                    if index == run.lowerBound { text += "::" }
                    continue
                }
                if index > 0, index != run.upperBound || run.isEmpty { text += ":" }
                text += String(group, radix: 16)
            }
            return text
        }
    }

    /// The longest run of two or more zero groups, the first of equals; empty when there is none.
    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int> {
        var best = 0..<0
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start >= 2, end - start > best.count { best = start..<end }
            start = max(end, start + 1)
        }
        return best
    }
}
