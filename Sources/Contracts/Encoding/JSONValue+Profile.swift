extension JSONValue {
    /// Deepest nesting of arrays and objects in a payload.
    public static let deepestNesting = 8

    /// Longest string of a payload, in UTF-8 bytes after unescaping.
    public static let longestString = 4096

    /// Parses one value of the payload profile: the bytes that this accepts are the bytes that `canonical` writes.
    public init(canonical bytes: [UInt8]) throws(JSONError) {
        var parser = CanonicalParser(bytes: bytes)
        self = try parser.value(depth: 1)
        guard parser.index == bytes.count else { throw JSONError(offset: parser.index, rule: .trailing) }
    }
}

/// A byte parser of exactly the payload grammar; nothing is normalised, so no second text can mean the same value.
private struct CanonicalParser {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard index < bytes.count else { throw failure(.syntax) }
        switch bytes[index] {
        case 0x22:
            return .string(try string())
        case 0x30...0x39:
            return .integer(try integer())
        case 0x5B:
            return .array(try array(depth: depth))
        case 0x7B:
            return .object(try object(depth: depth))
        case 0x74:
            try literal([0x74, 0x72, 0x75, 0x65])
            return .boolean(true)
        case 0x66:
            try literal([0x66, 0x61, 0x6C, 0x73, 0x65])
            return .boolean(false)
        default:
            throw failure(.syntax)
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        guard depth <= JSONValue.deepestNesting else { throw failure(.depth) }
        index += 1
        var members: [(name: String, value: JSONValue)] = []
        if next(is: 0x7D) { return JSONObject(ascending: members) }
        var previous = 0..<0
        repeat {
            let name = try memberName()
            if !members.isEmpty {
                guard bytes[previous].lexicographicallyPrecedes(bytes[name]) else { throw failure(.order) }
            }
            previous = name
            guard next(is: 0x3A) else { throw failure(.syntax) }
            members.append((String(decoding: bytes[name], as: UTF8.self), try value(depth: depth + 1)))
        } while next(is: 0x2C)
        guard next(is: 0x7D) else { throw failure(.syntax) }
        return JSONObject(ascending: members)
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        guard depth <= JSONValue.deepestNesting else { throw failure(.depth) }
        index += 1
        var elements: [JSONValue] = []
        if next(is: 0x5D) { return elements }
        repeat {
            elements.append(try value(depth: depth + 1))
        } while next(is: 0x2C)
        guard next(is: 0x5D) else { throw failure(.syntax) }
        return elements
    }

    /// `"[a-z][a-z0-9_]{0,31}"`; the range of the characters between the quotes.
    private mutating func memberName() throws(JSONError) -> Range<Int> {
        guard next(is: 0x22) else { throw failure(.syntax) }
        let start = index
        while index < bytes.count {
            switch bytes[index] {
            case 0x61...0x7A:
                index += 1
            case 0x30...0x39, 0x5F:
                guard index > start else { throw failure(.name) }
                index += 1
            case 0x22:
                guard (1...32).contains(index - start) else { throw failure(.name) }
                index += 1
                return start..<index - 1
            default:
                throw failure(.name)
            }
        }
        throw failure(.syntax)
    }

    private mutating func integer() throws(JSONError) -> Int64 {
        let start = index
        var number: Int64 = 0
        while index < bytes.count, case let byte = bytes[index], byte &- 0x30 < 10 {
            // Sixteen digits hold every value of the profile and cannot overflow.
            guard index - start < 16 else { throw failure(.integer) }
            number = number * 10 + Int64(byte &- 0x30)
            index += 1
        }
        guard number <= JSONValue.largestInteger, index - start == 1 || bytes[start] != 0x30 else {
            throw failure(.integer)
        }
        return number
    }

    private mutating func string() throws(JSONError) -> String {
        index += 1
        let start = index
        var escaped: [UInt8]?
        var run = start
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case 0x22:
                let text: String
                if var unescaped = escaped {
                    unescaped.append(contentsOf: bytes[run..<index])
                    guard unescaped.count <= JSONValue.longestString else { throw failure(.stringLength) }
                    text = String(decoding: unescaped, as: UTF8.self)
                } else {
                    guard index - start <= JSONValue.longestString else { throw failure(.stringLength) }
                    text = String(decoding: bytes[start..<index], as: UTF8.self)
                }
                index += 1
                return text
            case 0x5C:
                guard index + 1 < bytes.count else { throw failure(.syntax) }
                let character: UInt8
                switch bytes[index + 1] {
                case 0x22: character = 0x22
                case 0x5C: character = 0x5C
                case 0x6E: character = 0x0A
                default: throw failure(.escape)
                }
                var unescaped = escaped ?? []
                escaped = nil
                unescaped.append(contentsOf: bytes[run..<index])
                unescaped.append(character)
                escaped = unescaped
                index += 2
                run = index
            case 0x20...0x7F:
                index += 1
            case 0x00..<0x20:
                throw failure(.character)
            default:
                guard let (scalar, length) = UTF8Scalar.decode(bytes, at: index, before: bytes.count),
                    !UTF8Scalar.isNoncharacter(scalar)
                else { throw failure(.character) }
                index += length
            }
        }
        throw failure(.syntax)
    }

    private mutating func literal(_ text: [UInt8]) throws(JSONError) {
        guard bytes.count - index >= text.count, bytes[index..<index + text.count].elementsEqual(text) else {
            throw failure(.syntax)
        }
        index += text.count
    }

    @inline(__always)
    private mutating func next(is byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }

    private func failure(_ rule: JSONError.Rule) -> JSONError {
        JSONError(offset: index, rule: rule)
    }
}
