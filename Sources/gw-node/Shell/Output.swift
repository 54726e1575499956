/// Where commands print: text for people, or one JSON document for programs.
///
/// Everything goes out by `write(2)` at once, so that a program reading a pipe sees each line when it is made.
struct Output: Sendable {
    let isJSON: Bool

    /// Prints the result of a command, in the form that was asked for.
    func result(_ json: JSONText, text: String) {
        Self.write(isJSON ? json.text : text)
    }

    /// Prints one event of a long-running command: one JSON line, or one line of text.
    func event(_ json: JSONText, text: String) {
        Self.write(isJSON ? json.text : text)
    }

    /// Says something to people only: on stderr, so that stdout stays what programs read.
    func note(_ text: String) {
        Self.writeError(text)
    }

    static func write(_ text: String) {
        Posix.writeAll(1, line(text))
    }

    static func writeError(_ text: String) {
        Posix.writeAll(2, line(text))
    }

    private static func line(_ text: String) -> [UInt8] {
        var bytes = Array(text.utf8)
        if bytes.last != 0x0A { bytes.append(0x0A) }
        return bytes
    }
}

/// JSON for programs that read what a command prints; members keep the order they were given in.
///
/// Not for signed bytes: those are `JSONValue`, which is canonical.
indirect enum JSONText: Sendable {
    case string(String)
    case integer(Int64)
    case boolean(Bool)
    case array([JSONText])
    case object([(String, JSONText)])
    case null
    /// JSON that somebody else encoded, taken as it is.
    case encoded([UInt8])

    /// The document on one line, without white space.
    var text: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func append(to bytes: inout [UInt8]) {
        switch self {
        case .string(let value): Self.append(value, to: &bytes)
        case .integer(let value): bytes += String(value).utf8
        case .boolean(let value): bytes += (value ? "true" : "false").utf8
        case .null: bytes += "null".utf8
        case .encoded(let value): bytes += value
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (position, value) in values.enumerated() {
                if position > 0 { bytes.append(UInt8(ascii: ",")) }
                value.append(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (position, member) in members.enumerated() {
                if position > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.append(member.0, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.1.append(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): bytes += #"\""#.utf8
            case UInt8(ascii: "\\"): bytes += #"\\"#.utf8
            case 0x0A: bytes += #"\n"#.utf8
            case 0x00..<0x20, 0x7F:
                let digits = String(byte, radix: 16)
                bytes += #"\u"#.utf8
                bytes += String(repeating: "0", count: 4 - digits.utf8.count).utf8
                bytes += digits.utf8
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
