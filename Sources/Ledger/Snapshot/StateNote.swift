public import Contracts

/// What an auditor attests: the digests of a ledger after its first entries (protocol.md 7, `webgw/state@v1`).
public struct StateNote: Sendable, Hashable {
    public var origin: String
    /// Entries of the log, 1 or more.
    public var size: UInt64
    /// Root of the log.
    public var root: Digest
    public var fold: Int64
    public var outcomeRoot: Digest
    public var stateRoot: Digest

    static let title = "webgw/state@v1"

    public init(
        origin: String,
        size: UInt64,
        root: Digest,
        fold: Int64 = 1,
        outcomeRoot: Digest,
        stateRoot: Digest
    ) {
        self.origin = origin
        self.size = size
        self.root = root
        self.fold = fold
        self.outcomeRoot = outcomeRoot
        self.stateRoot = stateRoot
    }

    /// The seven lines; nil for anything else.
    public init?(text: [UInt8]) {
        guard text.last == 0x0A else { return nil }
        let lines = text.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count == 7, lines[0].elementsEqual(Self.title.utf8), !lines[1].isEmpty,
            let size = Decimal53.parse(lines[2]), size > 0,
            let root = Self.digest(lines[3]),
            let fold = Decimal53.parse(lines[4]), (1...65_535).contains(fold),
            let outcomeRoot = Self.digest(lines[5]), let stateRoot = Self.digest(lines[6])
        else { return nil }
        self.init(
            origin: String(decoding: lines[1], as: UTF8.self),
            size: size,
            root: root,
            fold: Int64(fold),
            outcomeRoot: outcomeRoot,
            stateRoot: stateRoot
        )
    }

    private static func digest(_ line: ArraySlice<UInt8>) -> Digest? {
        Base64.decode(line).flatMap { Digest($0) }
    }

    /// The text that is signed.
    public var text: [UInt8] {
        let lines = [
            Self.title, origin, "\(size)", Base64.encode(root.bytes), "\(fold)", Base64.encode(outcomeRoot.bytes),
            Base64.encode(stateRoot.bytes),
        ]
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// The body of the entry that records the same in the log.
    public var attestation: Attestation {
        Attestation(fold: fold, outcomeRoot: outcomeRoot, root: root, size: Int64(size), stateRoot: stateRoot)
    }

    /// The note with an auditor's signature.
    public func signed(by key: SigningKey, as verifierKey: VerifierKey) -> [UInt8] {
        SignedNote.signed(text: text, by: [(key, verifierKey)]).bytes
    }
}

/// A state note with the lines that sign it. Parsing proves nothing about the signatures.
public struct SignedStateNote: Sendable {
    public let state: StateNote
    let note: SignedNote

    /// Why signatures do not count.
    enum Fault: Error, Hashable {
        /// A line of a known key does not verify.
        case forged(String)
    }

    /// Parses a note of at most 64 KiB.
    public init(parsing bytes: [UInt8]) throws(VerificationResult) {
        guard let note = try? SignedNote(parsing: bytes), let state = StateNote(text: note.text) else {
            throw .noteMalformed
        }
        self.init(state, note)
    }

    private init(_ state: StateNote, _ note: SignedNote) {
        self.state = state
        self.note = note
    }

    public var bytes: [UInt8] { note.bytes }

    /// The auditors that attest it, once per distinct twin and per distinct public key: two twins that share a key are
    /// one witness. Lines of others count for nothing.
    func attesters(among auditors: [Auditor]) throws(Fault) -> [Auditor] {
        let lines: [SignedNote.Verified]
        do {
            lines = try note.verified(by: auditors.map(\.key))
        } catch {
            throw .forged(error.name)
        }
        var seen: Set<PublicKey> = []
        return auditors.filter { auditor in
            lines.contains { $0.key == auditor.key } && seen.insert(auditor.key.key).inserted
        }
    }

    /// The same text with only the lines of these auditors, and with those of another note of the same text.
    func merged(with other: SignedStateNote?, keeping auditors: [Auditor]) -> SignedStateNote {
        var lines: [SignedNote.Signature] = []
        for line in (other?.note.signatures ?? []) + note.signatures {
            let isKnown = auditors.contains { $0.key.name == line.name && $0.key.hash == line.hash }
            if isKnown, !lines.contains(line) { lines.append(line) }
        }
        return SignedStateNote(state, SignedNote(text: note.text, signatures: lines))
    }
}
