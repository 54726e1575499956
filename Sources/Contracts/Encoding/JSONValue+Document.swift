extension JSONValue {
    /// Parses any JSON document (RFC 8259) whose numbers are integers and that has no null.
    ///
    /// For texts that nobody signed: submissions, fixture files, answers of other programs. White space, any order of
    /// members and all escapes are taken; duplicate names, fractions, nulls, invalid UTF-8 and unpaired surrogates are
    /// not. Nesting is limited to 32. The caller limits the size.
    public init(document bytes: [UInt8]) throws(JSONError) {
        var parser = DocumentParser(bytes: bytes)
        self = try parser.document()
    }
}

private struct DocumentParser {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value(depth: 1)
        skipSpace()
        guard index == bytes.count else { throw failure(.trailing) }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= 33 else { throw failure(.depth) }
        skipSpace()
        guard index < bytes.count else { throw failure(.syntax) }
        switch bytes[index] {
        case 0x22: return .string(try string())
        case 0x2D, 0x30...0x39: return .integer(try integer())
        case 0x5B: return .array(try array(depth: depth))
        case 0x7B: return .object(try object(depth: depth))
        case 0x74 where bytes[index...].starts(with: "true".utf8):
            index += 4
            return .boolean(true)
        case 0x66 where bytes[index...].starts(with: "false".utf8):
            index += 5
            return .boolean(false)
        default: throw failure(.syntax)
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        index += 1
        var members: [(name: String, value: JSONValue)] = []
        if next(is: 0x7D) { return JSONObject() }
        repeat {
            skipSpace()
            guard index < bytes.count, bytes[index] == 0x22 else { throw failure(.syntax) }
            let name = try string()
            guard next(is: 0x3A) else { throw failure(.syntax) }
            members.append((name, try value(depth: depth + 1)))
        } while next(is: 0x2C)
        guard next(is: 0x7D) else { throw failure(.syntax) }
        members.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        for (left, right) in zip(members, members.dropFirst()) where left.name.utf8.elementsEqual(right.name.utf8) {
            throw failure(.name)
        }
        return JSONObject(ascending: members)
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        index += 1
        var elements: [JSONValue] = []
        if next(is: 0x5D) { return elements }
        repeat {
            elements.append(try value(depth: depth + 1))
        } while next(is: 0x2C)
        guard next(is: 0x5D) else { throw failure(.syntax) }
        return elements
    }

    private mutating func integer() throws(JSONError) -> Int64 {
        let negative = bytes[index] == 0x2D
        if negative { index += 1 }
        let start = index
        var number: Int64 = 0
        while index < bytes.count, Grammar.isDigit(bytes[index]) {
            guard index - start < 18 else { throw failure(.integer) }
            number = number * 10 + Int64(bytes[index] - 0x30)
            index += 1
        }
        guard index > start, index - start == 1 || bytes[start] != 0x30 else { throw failure(.integer) }
        if index < bytes.count, [0x2E, 0x65, 0x45].contains(bytes[index]) { throw failure(.integer) }
        return negative ? -number : number
    }

    private mutating func string() throws(JSONError) -> String {
        index += 1
        var text: [UInt8] = []
        while index < bytes.count {
            switch bytes[index] {
            case 0x22:
                index += 1
                return String(decoding: text, as: UTF8.self)
            case 0x5C:
                try escape(into: &text)
            case 0x00..<0x20:
                throw failure(.character)
            case let byte where byte < 0x80:
                text.append(byte)
                index += 1
            default:
                guard let (_, length) = UTF8Scalar.decode(bytes, at: index, before: bytes.count) else {
                    throw failure(.character)
                }
                text.append(contentsOf: bytes[index..<index + length])
                index += length
            }
        }
        throw failure(.syntax)
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        index += 1
        guard index < bytes.count else { throw failure(.syntax) }
        let character = bytes[index]
        index += 1
        switch character {
        case 0x22, 0x5C, 0x2F: text.append(character)
        case 0x62: text.append(0x08)
        case 0x66: text.append(0x0C)
        case 0x6E: text.append(0x0A)
        case 0x72: text.append(0x0D)
        case 0x74: text.append(0x09)
        case 0x75:
            var scalar = try codeUnit()
            if (0xD800...0xDBFF).contains(scalar) {
                guard bytes[index...].starts(with: "\\u".utf8) else { throw failure(.escape) }
                index += 2
                let low = try codeUnit()
                guard (0xDC00...0xDFFF).contains(low) else { throw failure(.escape) }
                scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let unicode = Unicode.Scalar(scalar) else { throw failure(.escape) }
            text.append(contentsOf: Array(String(unicode).utf8))
        default: throw failure(.escape)
        }
    }

    private mutating func codeUnit() throws(JSONError) -> UInt32 {
        guard bytes.count - index >= 4 else { throw failure(.escape) }
        var unit: UInt32 = 0
        for byte in bytes[index..<index + 4] {
            // `| 0x20` turns A-F into a-f and leaves digits alone.
            let lower = (0x41...0x46).contains(byte) ? byte | 0x20 : byte
            guard let digit = Hex.value(of: lower) else { throw failure(.escape) }
            unit = unit << 4 | UInt32(digit)
        }
        index += 4
        return unit
    }

    private mutating func skipSpace() {
        while index < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[index]) { index += 1 }
    }

    private mutating func next(is byte: UInt8) -> Bool {
        skipSpace()
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    private func failure(_ rule: JSONError.Rule) -> JSONError {
        JSONError(offset: index, rule: rule)
    }
}
