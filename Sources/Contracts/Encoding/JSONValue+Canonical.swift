extension JSONValue {
    /// Largest integer of the profile, 2^53 - 1.
    public static let largestInteger: Int64 = 9_007_199_254_740_991

    /// The bytes of the value: no white space, members ascending, the escapes `\"`, `\\` and `\n` and no others.
    ///
    /// For a value of the profile this is its one encoding. Other control characters are written as `\u00xx`, so that the
    /// text is JSON in any case.
    public var canonical: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        append(to: &bytes)
        return bytes
    }

    /// Appends the canonical bytes.
    public func append(to bytes: inout [UInt8]) {
        switch self {
        case .string(let text):
            Self.append(text, to: &bytes)
        case .integer(let number):
            Self.append(number, to: &bytes)
        case .boolean(let flag):
            bytes.append(contentsOf: flag ? "true".utf8 : "false".utf8)
        case .array(let elements):
            bytes.append(0x5B)
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(0x2C) }
                element.append(to: &bytes)
            }
            bytes.append(0x5D)
        case .object(let object):
            object.append(to: &bytes)
        }
    }

    private static func append(_ number: Int64, to bytes: inout [UInt8]) {
        guard number >= 10 || number < 0 else {
            bytes.append(0x30 + UInt8(number))
            return
        }
        bytes.append(contentsOf: String(number).utf8)
    }

    static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(0x22)
        defer { bytes.append(0x22) }
        guard needsEscapes(text.utf8Span.span) else {
            bytes.append(contentsOf: text.utf8)
            return
        }
        for byte in text.utf8 {
            switch byte {
            case 0x22:
                bytes.append(0x5C)
                bytes.append(0x22)
            case 0x5C:
                bytes.append(0x5C)
                bytes.append(0x5C)
            case 0x0A:
                bytes.append(0x5C)
                bytes.append(0x6E)
            case 0x00..<0x20:
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(Hex.digit(byte >> 4))
                bytes.append(Hex.digit(byte & 15))
            default:
                bytes.append(byte)
            }
        }
    }

    private static func needsEscapes(_ text: Span<UInt8>) -> Bool {
        for index in 0..<text.count {
            let byte = text[index]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C { return true }
        }
        return false
    }
}

extension JSONObject {
    /// The bytes of the object, see `JSONValue.canonical`.
    public var canonical: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        append(to: &bytes)
        return bytes
    }

    /// Appends the canonical bytes.
    public func append(to bytes: inout [UInt8]) {
        bytes.append(0x7B)
        for (index, member) in members.enumerated() {
            if index > 0 { bytes.append(0x2C) }
            JSONValue.append(member.name, to: &bytes)
            bytes.append(0x3A)
            member.value.append(to: &bytes)
        }
        bytes.append(0x7D)
    }
}
