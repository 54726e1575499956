/// Finds the server name in a TLS ClientHello, without answering and without changing a byte.
///
/// The hello may be cut anywhere and spread over several records. Everything is bounded by `limit`; offsets are checked against the
/// lengths that surround them, and the name must be a plausible host.
enum ClientHello {
    enum Result: Equatable {
        /// The name in lower case, without a trailing dot.
        case name([UInt8])
        /// A complete hello without a server name.
        case noName
        case incomplete
        /// Not TLS, or not a well-formed hello.
        case malformed
    }

    /// Largest hello in bytes of the connection, record headers included. Hellos with post-quantum key shares have about 2 KiB.
    static let limit = 16_384

    /// A fatal alert `unrecognized_name` (RFC 6066 section 3), as a whole record.
    static let unrecognizedName: [UInt8] = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x70]

    /// A fatal alert `decode_error`.
    static let decodeError: [UInt8] = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x32]

    /// Looks at the first bytes of a connection.
    static func parse(_ bytes: Span<UInt8>) -> Result {
        var message: [UInt8] = []
        var index = 0
        var needed = 4
        while message.count < needed {
            if index == bytes.count { return bytes.count >= limit ? .malformed : .incomplete }
            // Record: type handshake, version 3.x, length 1...16384 (RFC 8446 section 5.1 forbids empty handshake records).
            guard bytes[index] == 0x16 else { return .malformed }
            guard index + 1 < bytes.count else { return .incomplete }
            guard bytes[index + 1] == 0x03 else { return .malformed }
            guard index + 5 <= bytes.count else { return .incomplete }
            let length = Int(bytes[index + 3]) << 8 | Int(bytes[index + 4])
            guard (1...limit).contains(length) else { return .malformed }
            let end = min(bytes.count, index + 5 + length)
            message.append(copying: bytes.extracting(index + 5..<end))
            if needed == 4, message.count >= 4 {
                guard message[0] == 0x01 else { return .malformed }
                needed = 4 + (Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3]))
                guard needed <= limit else { return .malformed }
            } else if let first = message.first, first != 0x01 {
                return .malformed
            }
            if end < index + 5 + length {
                if message.count >= needed { break }
                return bytes.count >= limit ? .malformed : .incomplete
            }
            index = end
        }
        return serverName(message[4..<needed])
    }

    private static func serverName(_ hello: ArraySlice<UInt8>) -> Result {
        var reader = Reader(bytes: hello)
        // Version, random, session id, cipher suites, compression methods (RFC 8446 section 4.1.2).
        guard reader.skip(34), reader.skipVector(lengthBytes: 1, upTo: 32),
            reader.skipVector(lengthBytes: 2, upTo: 65_534),
            reader.skipVector(lengthBytes: 1, upTo: 255)
        else { return .malformed }
        if reader.isAtEnd { return .noName }
        guard let extensions = reader.vector(lengthBytes: 2), reader.isAtEnd else { return .malformed }
        var list = Reader(bytes: extensions)
        var found: Result?
        while !list.isAtEnd {
            guard let type = list.number(2), let body = list.vector(lengthBytes: 2) else { return .malformed }
            guard type == 0 else { continue }
            guard found == nil, let name = name(in: body) else { return .malformed }
            found = .name(name)
        }
        return found ?? .noName
    }

    private static func name(in body: ArraySlice<UInt8>) -> [UInt8]? {
        var reader = Reader(bytes: body)
        guard let names = reader.vector(lengthBytes: 2), reader.isAtEnd else { return nil }
        var list = Reader(bytes: names)
        // One name of type host_name: RFC 6066 allows one name of a type, and there is no other type.
        guard list.number(1) == 0, let name = list.vector(lengthBytes: 2), list.isAtEnd else { return nil }
        var host = name.map(HTTPGrammar.lowercased)
        if host.count > 1, host.last == 0x2E { host.removeLast() }
        guard (1...253).contains(host.count) else { return nil }
        let isPlausible = host.allSatisfy {
            HTTPGrammar.isDigit($0) || $0 &- 0x61 < 26 || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F
        }
        return isPlausible ? host : nil
    }

    private struct Reader {
        var bytes: ArraySlice<UInt8>

        var isAtEnd: Bool { bytes.isEmpty }

        mutating func skip(_ count: Int) -> Bool {
            guard bytes.count >= count else { return false }
            bytes = bytes.dropFirst(count)
            return true
        }

        mutating func number(_ count: Int) -> Int? {
            guard bytes.count >= count else { return nil }
            let value = bytes.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            bytes = bytes.dropFirst(count)
            return value
        }

        mutating func vector(lengthBytes: Int) -> ArraySlice<UInt8>? {
            guard let count = number(lengthBytes), bytes.count >= count else { return nil }
            defer { bytes = bytes.dropFirst(count) }
            return bytes.prefix(count)
        }

        mutating func skipVector(lengthBytes: Int, upTo limit: Int) -> Bool {
            guard let vector = vector(lengthBytes: lengthBytes) else { return false }
            return vector.count <= limit
        }
    }
}
