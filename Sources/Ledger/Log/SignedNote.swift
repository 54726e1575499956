public import Contracts

/// Why bytes are no signed note.
public enum NoteError: Error, Hashable, Sendable {
    /// More bytes than the caller allows.
    case tooLong(Int)
    /// Not UTF-8, or with a control character other than the line feed.
    case text
    /// No empty line, or what follows it is not 1 to 64 signature lines.
    case signatures
}

/// A C2SP signed note: a text and lines that sign it. Parsing proves nothing about the signatures.
public struct SignedNote: Sendable {
    /// One signature line.
    public struct Signature: Sendable, Hashable {
        /// Key name of the line, not empty, without space or `+`.
        public let name: String
        /// First four decoded bytes, big-endian.
        public let hash: UInt32
        /// Decoded bytes after the key hash, at least one.
        public let blob: [UInt8]

        public init(name: String, hash: UInt32, blob: [UInt8]) {
            self.name = name
            self.hash = hash
            self.blob = blob
        }
    }

    /// What is signed, with its last line feed.
    public let text: [UInt8]

    /// The lines in the order of the note, 1...64.
    public let signatures: [Signature]

    /// Longest note other than a manifest, in bytes.
    public static let longest = 65536

    /// Most signature lines of a note.
    public static let mostSignatures = 64

    private static let dash: [UInt8] = [0xE2, 0x80, 0x94, 0x20]

    /// Parses a note of at most `limit` bytes.
    public init(parsing bytes: [UInt8], limit: Int = SignedNote.longest) throws(NoteError) {
        guard bytes.count <= limit else { throw .tooLong(bytes.count) }
        guard Self.isPlainText(bytes) else { throw .text }
        guard bytes.last == 0x0A, let separator = Self.lastEmptyLine(bytes) else { throw .signatures }
        text = Array(bytes[..<separator])
        var signatures: [Signature] = []
        var index = separator + 1
        while index < bytes.count {
            guard signatures.count < Self.mostSignatures, let signature = Self.signature(bytes, at: &index) else {
                throw .signatures
            }
            signatures.append(signature)
        }
        guard !signatures.isEmpty else { throw .signatures }
        self.signatures = signatures
    }

    /// A note from its parts; the text must end with a line feed.
    public init(text: [UInt8], signatures: [Signature]) {
        precondition(text.last == 0x0A, "the text of a note ends with a line feed")
        self.text = text
        self.signatures = signatures
    }

    /// Signs a text with keys of type 1, each under its own verifier key's name and hash.
    public static func signed(text: [UInt8], by keys: [(key: SigningKey, verifierKey: VerifierKey)]) -> SignedNote {
        SignedNote(
            text: text,
            signatures: keys.map { key, verifierKey in
                Signature(name: verifierKey.name, hash: verifierKey.hash, blob: key.signature(for: text))
            }
        )
    }

    /// The note as bytes.
    public var bytes: [UInt8] {
        var bytes = text
        bytes.append(0x0A)
        for signature in signatures { bytes.append(contentsOf: signature.line) }
        return bytes
    }

    /// Offset of the line feed that is the last empty line.
    private static func lastEmptyLine(_ bytes: [UInt8]) -> Int? {
        var index = bytes.count - 1
        while index > 0 {
            if bytes[index] == 0x0A, bytes[index - 1] == 0x0A { return index }
            index -= 1
        }
        return nil
    }

    /// Takes the line that begins at the index, and moves the index behind its line feed.
    private static func signature(_ bytes: [UInt8], at index: inout Int) -> Signature? {
        let start = index + dash.count
        guard start < bytes.count, Array(bytes[index..<start]) == dash else { return nil }
        var space = start
        while space < bytes.count, bytes[space] != 0x20 {
            guard bytes[space] != 0x0A, bytes[space] != 0x2B else { return nil }
            space += 1
        }
        var end = space
        while end < bytes.count, bytes[end] != 0x0A { end += 1 }
        guard start < space, end < bytes.count, let decoded = Base64.decode(bytes[(space + 1)..<end]),
            decoded.count >= 5
        else { return nil }
        index = end + 1
        return Signature(
            name: String(decoding: bytes[start..<space], as: UTF8.self),
            hash: UInt32(decoded[0]) << 24 | UInt32(decoded[1]) << 16 | UInt32(decoded[2]) << 8 | UInt32(decoded[3]),
            blob: Array(decoded[4...])
        )
    }

    /// UTF-8 without U+0000...U+001F except U+000A and without U+007F...U+009F.
    private static func isPlainText(_ bytes: [UInt8]) -> Bool {
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var previous: UInt8 = 0
        for index in 0..<bytes.count {
            let byte = bytes[index]
            if byte < 0x20 ? byte != 0x0A : byte == 0x7F { return false }
            // U+0080...U+009F are 0xC2 and a byte below 0xA0.
            if previous == 0xC2, byte < 0xA0 { return false }
            previous = byte
        }
        return true
    }
}

extension SignedNote.Signature {
    /// The line with its line feed.
    public var line: [UInt8] {
        let hashBytes = [
            UInt8(truncatingIfNeeded: hash >> 24), UInt8(truncatingIfNeeded: hash >> 16),
            UInt8(truncatingIfNeeded: hash >> 8), UInt8(truncatingIfNeeded: hash),
        ]
        return Array("\u{2014} \(name) \(Base64.encode(hashBytes + blob))\n".utf8)
    }
}
