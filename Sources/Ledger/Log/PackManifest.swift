public import Contracts

/// The signed list of a pack's files.
public struct PackManifest: Sendable {
    /// One file: its SHA-256, its length in bytes and its path.
    public struct File: Sendable, Hashable {
        public let digest: Digest
        public let size: UInt64
        public let path: String
    }

    /// The ledger that the pack is of, as the manifest says.
    public let ledger: Identifier

    /// All files but the manifest, ascending by the bytes of their paths.
    public let files: [File]

    private let note: SignedNote

    private static let header = "webgw/manifest@v1"

    /// Parses a manifest of at most 4 MiB; anything else is `manifest.invalid`.
    public init(parsing bytes: [UInt8]) throws(AuditFailure) {
        guard let note = try? SignedNote(parsing: bytes, limit: FixturePack.longestManifest) else {
            throw AuditFailure(.manifestInvalid, "MANIFEST is no signed note")
        }
        let lines = note.text.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count >= 2, lines[0].elementsEqual(Self.header.utf8),
            let ledger = Digest(hex: String(decoding: lines[1], as: UTF8.self))
        else { throw AuditFailure(.manifestInvalid, "MANIFEST has no header and ledger id") }
        var files: [File] = []
        for line in lines[2...] {
            guard let file = Self.file(line), files.last.map({ Self.precedes($0.path, file.path) }) ?? true else {
                throw AuditFailure(.manifestInvalid, "MANIFEST has a bad line after \(files.last?.path ?? "its head")")
            }
            files.append(file)
        }
        self.note = note
        self.ledger = ledger
        self.files = files
    }

    /// Text of a manifest, for those who make packs. The files may come in any order.
    static func text(ledger: Identifier, files: [File]) -> [UInt8] {
        var text = "\(header)\n\(ledger.hex)\n"
        for file in files.sorted(by: { precedes($0.path, $1.path) }) {
            text += "\(file.digest.hex) \(file.size) \(file.path)\n"
        }
        return Array(text.utf8)
    }

    /// Whether a line of the key verifies, and none of its lines does not.
    public func isSigned(by key: VerifierKey) -> Bool {
        guard let verified = try? note.verified(by: [key]) else { return false }
        return !verified.isEmpty
    }

    /// Verifies ledger id, signature when a key is given, every listed file, and with a key that no file is unlisted.
    public func verify(_ pack: FixturePack, ledgerID: Identifier, key: VerifierKey?) throws(AuditFailure) {
        guard ledger == ledgerID else {
            throw AuditFailure(.manifestInvalid, "MANIFEST is of another ledger, \(ledger)")
        }
        if let key {
            guard isSigned(by: key) else {
                throw AuditFailure(.manifestInvalid, "MANIFEST is not signed by \(key.name)")
            }
            try verifyNothingUnlisted(pack)
        }
        for file in files {
            guard let bytes = try? pack.file(file.path), UInt64(bytes.count) == file.size,
                Digest.sha256(bytes) == file.digest
            else { throw AuditFailure(.manifestInvalid, "\(file.path) is not the file that MANIFEST lists") }
        }
    }

    private func verifyNothingUnlisted(_ pack: FixturePack) throws(AuditFailure) {
        let listed = Set(files.map { Array($0.path.utf8) } + [Array("MANIFEST".utf8)])
        let found: [String]
        do {
            found = try pack.paths()
        } catch {
            throw AuditFailure(.manifestInvalid, "the files of the pack cannot be listed: \(error)")
        }
        if let stranger = found.first(where: { !listed.contains(Array($0.utf8)) }) {
            throw AuditFailure(.manifestInvalid, "\(stranger) is not listed in MANIFEST")
        }
    }

    /// `<hex sha256> <size> <path>`
    private static func file(_ line: ArraySlice<UInt8>) -> File? {
        let words = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count == 3, let digest = Digest(hex: String(decoding: words[0], as: UTF8.self)),
            let size = Decimal53.parse(words[1])
        else { return nil }
        let path = String(decoding: words[2], as: UTF8.self)
        guard FixturePack.isInside(path), !path.utf8.elementsEqual("MANIFEST".utf8) else { return nil }
        return File(digest: digest, size: size, path: path)
    }

    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }
}
