internal import Contracts

/// Reads a submitted DSSE envelope: any JSON with the right members, not only the one text of the log.
///
/// Members may stand in any order, with white space and escapes; base64 may be the standard or the URL-safe alphabet,
/// with or without padding; members that DSSE does not know are skipped. A member given twice is an error, because two
/// readers could take different ones. What is logged is the re-encoding, never these bytes.
struct SubmissionReader {
    /// Why a body is no envelope, as a sentence for the person who sent it.
    struct Malformed: Error, Hashable {
        var reason: String
    }

    /// Deepest nesting of arrays and objects; an envelope needs three levels, the rest is for unknown members.
    static let deepest = 8

    private let bytes: [UInt8]
    private var position = 0

    /// The envelope in a body, its signatures in the log's order, and the leaf that is logged for it.
    static func read(_ body: [UInt8]) throws(Malformed) -> (envelope: Envelope, leaf: [UInt8]) {
        // Most clients send the log's own text.
        if let exact = try? Envelope(leaf: body) { return (exact, body) }
        var reader = SubmissionReader(bytes: body)
        let envelope = try reader.readEnvelope()
        reader.skipSpace()
        guard reader.position == body.count else { throw Malformed(reason: "something follows the envelope") }
        return (envelope, envelope.leaf)
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    // MARK: The envelope

    private mutating func readEnvelope() throws(Malformed) -> Envelope {
        var payload: [UInt8]?
        var type: [UInt8]?
        var signatures: [(keyID: KeyID, signature: [UInt8])]?
        try readObject(depth: 1) { reader, name throws(Malformed) in
            switch name {
            case Array("payload".utf8):
                let text = try reader.readString()
                guard let decoded = Self.base64(text) else { throw Malformed(reason: "payload is not base64") }
                payload = decoded
            case Array("payloadType".utf8):
                type = try reader.readString()
            case Array("signatures".utf8):
                signatures = try reader.readSignatures()
            default:
                try reader.skipValue(depth: 2)
            }
        }
        guard let payload else { throw Malformed(reason: "the member payload is missing") }
        guard let type else { throw Malformed(reason: "the member payloadType is missing") }
        guard let signatures else { throw Malformed(reason: "the member signatures is missing") }
        guard (1...128).contains(type.count), type.allSatisfy(Self.isTypeByte)
        else { throw Malformed(reason: "payloadType is not a media type") }
        let envelope = Envelope(
            payload: payload,
            payloadType: String(decoding: type, as: UTF8.self),
            signatures: signatures.sorted { $0.keyID < $1.keyID }
        )
        for (left, right) in zip(envelope.signatures, envelope.signatures.dropFirst())
        where left.keyID == right.keyID {
            throw Malformed(reason: "key \(left.keyID) signs twice")
        }
        return envelope
    }

    private mutating func readSignatures() throws(Malformed) -> [(keyID: KeyID, signature: [UInt8])] {
        var signatures: [(keyID: KeyID, signature: [UInt8])] = []
        try readArray { reader throws(Malformed) in
            guard signatures.count < Envelope.mostSignatures else {
                throw Malformed(reason: "there are more than \(Envelope.mostSignatures) signatures")
            }
            var keyID: KeyID?
            var signature: [UInt8]?
            try reader.readObject(depth: 3) { reader, name throws(Malformed) in
                switch name {
                case Array("keyid".utf8):
                    keyID = KeyID(hex: String(decoding: try reader.readString(), as: UTF8.self))
                    if keyID == nil { throw Malformed(reason: "a keyid is not 64 lower case hex digits") }
                case Array("sig".utf8):
                    signature = Self.base64(try reader.readString())
                    if signature?.count != 64 { throw Malformed(reason: "a sig is not base64 of 64 bytes") }
                default:
                    try reader.skipValue(depth: 4)
                }
            }
            guard let keyID, let signature else { throw Malformed(reason: "a signature lacks keyid or sig") }
            signatures.append((keyID, signature))
        }
        return signatures
    }

    /// The characters of a media type that the log's text allows.
    private static func isTypeByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: Array("!#$&^_.+/-".utf8).contains(byte)
        }
    }

    /// Either alphabet, padded or not; leftover bits must be zero.
    static func base64(_ text: [UInt8]) -> [UInt8]? {
        var standard = text.map { byte in
            switch byte {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: byte
            }
        }
        if standard.last != UInt8(ascii: "=") {
            while standard.count % 4 != 0 { standard.append(UInt8(ascii: "=")) }
        }
        return Base64.decode(standard)
    }

    // MARK: JSON

    private mutating func readObject(
        depth: Int,
        _ member: (inout SubmissionReader, [UInt8]) throws(Malformed) -> Void
    ) throws(Malformed) {
        guard depth <= Self.deepest else { throw Malformed(reason: "the JSON is nested too deeply") }
        guard take(UInt8(ascii: "{")) else { throw Malformed(reason: "an object was expected at byte \(position)") }
        if take(UInt8(ascii: "}")) { return }
        var names: Set<[UInt8]> = []
        repeat {
            let name = try readString()
            guard names.insert(name).inserted else { throw Malformed(reason: "a member is given twice") }
            guard take(UInt8(ascii: ":")) else { throw Malformed(reason: "a colon is missing at byte \(position)") }
            try member(&self, name)
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw Malformed(reason: "an object does not end at byte \(position)") }
    }

    private mutating func readArray(
        _ element: (inout SubmissionReader) throws(Malformed) -> Void
    ) throws(Malformed) {
        guard take(UInt8(ascii: "[")) else { throw Malformed(reason: "an array was expected at byte \(position)") }
        if take(UInt8(ascii: "]")) { return }
        repeat { try element(&self) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw Malformed(reason: "an array does not end at byte \(position)") }
    }

    private mutating func skipValue(depth: Int) throws(Malformed) {
        skipSpace()
        guard position < bytes.count else { throw Malformed(reason: "the JSON ends early") }
        switch bytes[position] {
        case UInt8(ascii: "{"):
            try readObject(depth: depth) { reader, _ throws(Malformed) in try reader.skipValue(depth: depth + 1) }
        case UInt8(ascii: "["):
            guard depth <= Self.deepest else { throw Malformed(reason: "the JSON is nested too deeply") }
            try readArray { reader throws(Malformed) in try reader.skipValue(depth: depth + 1) }
        case UInt8(ascii: "\""):
            _ = try readString()
        default:
            let start = position
            while position < bytes.count, Self.isScalarByte(bytes[position]) { position += 1 }
            guard Self.isScalar(bytes[start..<position]) else {
                throw Malformed(reason: "no JSON value at byte \(start)")
            }
        }
    }

    private static func isScalarByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    /// A literal name or a number of RFC 8259.
    private static func isScalar(_ text: ArraySlice<UInt8>) -> Bool {
        if ["true", "false", "null"].contains(where: { text.elementsEqual($0.utf8) }) { return true }
        var rest = text
        func digits(_ rest: inout ArraySlice<UInt8>) -> Int {
            let count = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let startsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits(&rest)
        guard whole > 0, whole == 1 || !startsWithZero else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard digits(&rest) > 0 else { return false }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard digits(&rest) > 0 else { return false }
        }
        return rest.isEmpty
    }

    /// The UTF-8 of a string after its escapes.
    private mutating func readString() throws(Malformed) -> [UInt8] {
        guard take(UInt8(ascii: "\"")) else { throw Malformed(reason: "a string was expected at byte \(position)") }
        var text: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard String(validating: text, as: UTF8.self) != nil else {
                    throw Malformed(reason: "a string is not UTF-8")
                }
                return text
            case UInt8(ascii: "\\"):
                try readEscape(into: &text)
            case 0..<0x20:
                throw Malformed(reason: "a string holds a control character")
            default:
                text.append(byte)
            }
        }
        throw Malformed(reason: "a string does not end")
    }

    private mutating func readEscape(into text: inout [UInt8]) throws(Malformed) {
        guard position < bytes.count else { throw Malformed(reason: "a string does not end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var units = [try readCodeUnit()]
            if (0xD800...0xDBFF).contains(units[0]) {
                guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                    bytes[position + 1] == UInt8(ascii: "u")
                else { throw Malformed(reason: "an escape is half a character") }
                position += 2
                units.append(try readCodeUnit())
            }
            guard let character = String(validating: units, as: UTF16.self) else {
                throw Malformed(reason: "an escape is half a character")
            }
            text.append(contentsOf: character.utf8)
        default:
            throw Malformed(reason: "a string holds an unknown escape")
        }
    }

    private mutating func readCodeUnit() throws(Malformed) -> UInt16 {
        guard position + 4 <= bytes.count else { throw Malformed(reason: "a string does not end") }
        var unit: UInt16 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80 else {
                throw Malformed(reason: "an escape is not four hex digits")
            }
            unit = unit << 4 | UInt16(digit)
        }
        position += 4
        return unit
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }
}
