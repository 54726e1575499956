/// The text grammars of the protocol. Each function says whether the whole string is a value of its type.
public enum Grammar {
    /// `[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?`
    public static func isLabel(_ text: String) -> Bool {
        isHyphenated(Array(text.utf8)[...], 1...32)
    }

    /// `[a-z0-9][a-z0-9-]{1,48}[a-z0-9]` without `-` in both the third and the fourth position.
    public static func isName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard isHyphenated(bytes[...], 3...50) else { return false }
        return bytes.count < 4 || bytes[2] != hyphen || bytes[3] != hyphen
    }

    /// Two or more DNS labels joined by `.`, at most 253 bytes, the last label not all digits.
    public static func isHost(_ text: String) -> Bool {
        isHost(Array(text.utf8)[...])
    }

    /// A host, or `*.` and a host, at most 253 bytes.
    public static func isWildcardHost(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count <= 253 else { return false }
        if bytes.starts(with: [0x2A, 0x2E]) { return isHost(bytes[2...]) }
        return isHost(bytes[...])
    }

    /// Four decimal numbers 0...255 without leading zeros, joined by `.`.
    public static func isIPv4(_ text: String) -> Bool {
        if case .v4 = IPAddress(text) { return true }
        return false
    }

    /// An IPv6 address in RFC 5952 form outside ::/96 and ::ffff:0:0/96.
    public static func isIPv6(_ text: String) -> Bool {
        guard let address = IPAddress(text), case .v6 = address else { return false }
        return !address.embedsIPv4
    }

    /// `(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?`
    public static func isDecimal(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let point = bytes.firstIndex(of: 0x2E) ?? bytes.count
        let whole = bytes[..<point]
        guard (1...15).contains(whole.count), whole.allSatisfy(isDigit), whole.count == 1 || whole.first != 0x30 else {
            return false
        }
        guard point < bytes.count else { return true }
        let fraction = bytes[(point + 1)...]
        return (1...9).contains(fraction.count) && fraction.allSatisfy(isDigit)
    }

    /// `[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*`, 1...128 bytes.
    public static func isOrigin(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard (1...128).contains(bytes.count) else { return false }
        let slash = bytes.firstIndex(of: 0x2F) ?? bytes.count
        let authority = bytes[..<slash]
        let colon = authority.firstIndex(of: 0x3A) ?? slash
        let name = authority[..<colon]
        guard let first = name.first, let last = name.last, isLowerAlphanumeric(first), isLowerAlphanumeric(last),
            name.allSatisfy({ isLowerAlphanumeric($0) || $0 == hyphen || $0 == 0x2E })
        else { return false }
        if colon < slash {
            let port = authority[(colon + 1)...]
            guard (1...5).contains(port.count), port.allSatisfy(isDigit) else { return false }
        }
        guard slash < bytes.count else { return true }
        return bytes[(slash + 1)...].split(separator: 0x2F, omittingEmptySubsequences: false).allSatisfy { segment in
            !segment.isEmpty && segment.allSatisfy { isAlphanumeric($0) || $0 == 0x2E || $0 == 0x5F || $0 == hyphen }
        }
    }

    /// A string whose UTF-8 length lies in the range and that has no line feed.
    public static func isText(_ text: String, _ length: ClosedRange<Int>) -> Bool {
        length.contains(text.utf8.count) && !text.utf8.contains(0x0A)
    }

    /// A path prefix of a contract: `(/[A-Za-z0-9._~-]+)+/?`, at most 256 bytes, no segment `.` or `..`.
    public static func isPathPrefix(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard (2...256).contains(bytes.count), bytes[0] == 0x2F else { return false }
        var segments = bytes[1...].split(separator: 0x2F, omittingEmptySubsequences: false)[...]
        if let last = segments.last, last.isEmpty { segments = segments.dropLast() }
        return !segments.isEmpty
            && segments.allSatisfy { segment in
                !segment.isEmpty && !segment.elementsEqual([0x2E]) && !segment.elementsEqual([0x2E, 0x2E])
                    && segment.allSatisfy {
                        isAlphanumeric($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x7E || $0 == hyphen
                    }
            }
    }

    /// As many letters `[A-Z]` as the range allows: the form of country (2) and currency (3...5) codes.
    public static func isUpperCase(_ text: String, _ length: ClosedRange<Int>) -> Bool {
        length.contains(text.utf8.count) && text.utf8.allSatisfy { (0x41...0x5A).contains($0) }
    }

    /// 1...128 bytes 0x21...0x7E without `+`: a name in the signature lines of notes.
    public static func isNoteName(_ bytes: some Collection<UInt8>) -> Bool {
        (1...128).contains(bytes.count) && bytes.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x2B }
    }

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLowerAlphanumeric(byte) || (0x41...0x5A).contains(byte)
    }

    private static let hyphen: UInt8 = 0x2D

    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    }

    private static func isHyphenated(_ bytes: ArraySlice<UInt8>, _ length: ClosedRange<Int>) -> Bool {
        guard length.contains(bytes.count), let first = bytes.first, let last = bytes.last else { return false }
        return isLowerAlphanumeric(first) && isLowerAlphanumeric(last)
            && bytes.allSatisfy { isLowerAlphanumeric($0) || $0 == hyphen }
    }

    private static func isHost(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard bytes.count <= 253 else { return false }
        var labels = 0
        var start = bytes.startIndex
        while true {
            let end = bytes[start...].firstIndex(of: 0x2E) ?? bytes.endIndex
            let label = bytes[start..<end]
            guard isHyphenated(label, 1...63) else { return false }
            labels += 1
            guard end < bytes.endIndex else { return labels >= 2 && !label.allSatisfy(isDigit) }
            start = end + 1
        }
    }
}
