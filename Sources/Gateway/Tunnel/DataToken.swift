internal import Contracts

/// What a data connection shows in place of a handshake: 32 random bytes, told to the agent over its session.
struct DataToken: Hashable, Sendable {
    static let length = 32
    /// Stands before the token on the wire; no TLS record begins with its first byte.
    static let magic = Array("WGWR1".utf8)
    /// Bytes that a data connection begins with.
    static let preambleLength = magic.count + length
    /// A token is good for this long, in nanoseconds (5 s).
    static let lifetime: UInt64 = 5_000_000_000

    private let words: SIMD4<UInt64>

    /// From the system's generator.
    static func random() -> DataToken {
        var random = SystemRandomNumberGenerator()
        return DataToken(words: SIMD4(random.next(), random.next(), random.next(), random.next()))
    }

    private init(words: SIMD4<UInt64>) { self.words = words }

    /// Nil unless there are exactly 32 bytes.
    init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        var words = SIMD4<UInt64>()
        for (offset, byte) in bytes.enumerated() { words[offset >> 3] = words[offset >> 3] << 8 | UInt64(byte) }
        self.words = words
    }

    /// From the first bytes of a data connection, magic and token; nil for anything else.
    init?(preamble: [UInt8]) {
        guard preamble.count == Self.preambleLength, preamble.starts(with: Self.magic) else { return nil }
        self.init(preamble.dropFirst(Self.magic.count))
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.length)
        for index in 0..<4 {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: words[index] >> shift))
            }
        }
        return bytes
    }

    /// What the agent writes first.
    var preamble: [UInt8] { Self.magic + bytes }
}

/// TOKEN: a data connection for a stream, or, with stream 0, one to be made ahead for a stream that a later TOKEN names.
struct StreamToken: Equatable, Sendable {
    var stream: UInt32
    var token: DataToken

    init(stream: UInt32, token: DataToken) {
        self.stream = stream
        self.token = token
    }

    /// Nil for anything malformed.
    init?(_ payload: [UInt8]) {
        guard let object = (try? JSONValue(canonical: payload))?.asObject, object.members.count == 2,
            let stream = object["stream"]?.asInteger.flatMap({ UInt32(exactly: $0) }), stream == 0 || stream & 1 == 1,
            let token = object["token"]?.asString.flatMap({ Hex.decode($0) }).flatMap({ DataToken($0) })
        else { return nil }
        self.stream = stream
        self.token = token
    }

    var payload: [UInt8] {
        JSONObject(members: [("stream", .integer(Int64(stream))), ("token", .string(Hex.encode(token.bytes)))])
            .canonical
    }
}
