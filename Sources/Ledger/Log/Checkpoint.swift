public import Contracts

/// A C2SP tlog-checkpoint: origin, size and root of a log in a signed note. Parsing proves nothing about the signatures.
public struct Checkpoint: Sendable {
    /// Name of the log, not empty. Compare it as bytes.
    public let origin: String

    /// Entries of the log, 0...2^53 - 1.
    public let size: UInt64

    /// Root hash of the tree of that size.
    public let root: Digest

    /// The note whose text says so.
    public let note: SignedNote

    /// The note as it was received.
    public let bytes: [UInt8]

    /// Largest size of a log.
    public static let largestSize: UInt64 = (1 << 53) - 1

    /// Parses a note of at most 64 KiB whose text has exactly the three lines.
    public init(parsing bytes: [UInt8]) throws(VerificationResult) {
        guard let note = try? SignedNote(parsing: bytes), let checkpoint = Checkpoint(note: note, bytes: bytes) else {
            throw .noteMalformed
        }
        self = checkpoint
    }

    /// Takes a note that was parsed or made; nil when its text is not that of a checkpoint.
    public init?(note: SignedNote) {
        self.init(note: note, bytes: note.bytes)
    }

    private init?(note: SignedNote, bytes: [UInt8]) {
        let text = note.text
        var ends: [Int] = []
        for index in 0..<text.count where text[index] == 0x0A { ends.append(index) }
        guard ends.count == 3, ends[0] > 0, ends[2] == text.count - 1,
            let size = Decimal53.parse(Array(text[(ends[0] + 1)..<ends[1]])),
            let rootBytes = Base64.decode(text[(ends[1] + 1)..<ends[2]]), rootBytes.count == 32
        else { return nil }
        let root = Digest(rootBytes, at: 0)
        origin = String(decoding: text[..<ends[0]], as: UTF8.self)
        self.size = size
        self.root = root
        self.note = note
        self.bytes = bytes
    }

    /// The three lines that are signed.
    public static func text(origin: String, size: UInt64, root: Digest) -> [UInt8] {
        Array("\(origin)\n\(size)\n\(Base64.encode(root.bytes))\n".utf8)
    }

    /// The same checkpoint with more signature lines at its end.
    public func adding(_ signatures: [SignedNote.Signature]) -> Checkpoint {
        let note = SignedNote(text: note.text, signatures: note.signatures + signatures)
        guard let checkpoint = Checkpoint(note: note) else { preconditionFailure("the text did not change") }
        return checkpoint
    }
}

/// Decimal numbers 0...2^53 - 1 without leading zeros.
enum Decimal53 {
    static func parse(_ digits: some Collection<UInt8>) -> UInt64? {
        digits.count <= 16 ? parse(Array(digits)) : nil
    }

    static func parse(_ digits: [UInt8]) -> UInt64? {
        guard digits.count >= 1, digits.count <= 16, digits.count == 1 || digits[0] != 0x30 else { return nil }
        var number: UInt64 = 0
        for index in 0..<digits.count {
            let digit = digits[index]
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            number = number * 10 + UInt64(digit - 0x30)
        }
        return number <= Checkpoint.largestSize ? number : nil
    }
}
