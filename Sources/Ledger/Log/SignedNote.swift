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
            guard signatures.count < Self.mostSignatures, let end = bytes[index...].firstIndex(of: 0x0A),
                let signature = Self.signature(bytes[index..<end])
            else { throw .signatures }
            signatures.append(signature)
            index = end + 1
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

    private static func signature(_ line: ArraySlice<UInt8>) -> Signature? {
        guard line.starts(with: dash) else { return nil }
        let rest = line.dropFirst(dash.count)
        guard let space = rest.firstIndex(of: 0x20) else { return nil }
        let name = rest[..<space]
        guard !name.isEmpty, !name.contains(0x2B), let decoded = Base64.decode(rest[(space + 1)...]), decoded.count >= 5
        else { return nil }
        return Signature(
            name: String(decoding: name, as: UTF8.self),
            hash: decoded[..<4].reduce(0) { $0 << 8 | UInt32($1) },
            blob: Array(decoded[4...])
        )
    }

    /// UTF-8 without U+0000...U+001F except U+000A and without U+007F...U+009F.
    private static func isPlainText(_ bytes: [UInt8]) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self) else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            scalar.value == 0x0A || (scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value))
        }
    }
}

extension SignedNote.Signature {
    /// The line with its line feed.
    public var line: [UInt8] {
        let hashBytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: hash >> UInt32($0)) }
        return Array("\u{2014} \(name) \(Base64.encode(hashBytes + blob))\n".utf8)
    }
}
