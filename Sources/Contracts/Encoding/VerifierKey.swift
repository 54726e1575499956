/// A C2SP signed-note verifier key: a note name and an Ed25519 key with its signature type.
public struct VerifierKey: Hashable, Sendable {
    /// Name that a signature line carries, 1...128 bytes 0x21...0x7E without `+`.
    public let name: String

    /// 1 for ledgers, auditors and manifests, 4 for the cosignatures of witnesses.
    public let type: UInt8

    /// The key, which passes rule E2.
    public let key: PublicKey

    /// First four bytes of SHA-256 of the name, a line feed, the type and the key, big-endian.
    public let hash: UInt32

    /// Signature type of ledgers, auditors and manifests.
    public static let noteType: UInt8 = 1

    /// Signature type of witnesses: cosignature/v1.
    public static let cosignatureType: UInt8 = 4

    /// A key from its parts. The name must have the grammar of a note name.
    public init(name: String, type: UInt8, key: PublicKey) {
        precondition(Grammar.isNoteName(name.utf8), "a note name has 1 to 128 visible characters and no plus sign")
        self.init(name: name, type: type, key: key, hash: Self.hash(name: name, type: type, key: key))
    }

    /// Parses `<name>+<8 hex>+<base64>` of type 1 or 4; nil when any rule of the grammar is broken.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: 0x2B, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, Grammar.isNoteName(parts[0]), parts[1].count == 8,
            let hashBytes = Hex.decode(String(decoding: parts[1], as: UTF8.self)), parts[2].count == 44,
            let material = Base64.decode(Array(parts[2])), material.count == 33,
            material[0] == Self.noteType || material[0] == Self.cosignatureType, let key = PublicKey(material[1...])
        else { return nil }
        let name = String(decoding: parts[0], as: UTF8.self)
        let hash = Self.hash(name: name, type: material[0], key: key)
        guard hash == hashBytes.reduce(0 as UInt32, { $0 << 8 | UInt32($1) }) else { return nil }
        self.init(name: name, type: material[0], key: key, hash: hash)
    }

    /// Parses a key that must have the given type.
    public init?(_ text: String, type: UInt8) {
        guard let key = VerifierKey(text), key.type == type else { return nil }
        self = key
    }

    private init(name: String, type: UInt8, key: PublicKey, hash: UInt32) {
        self.name = name
        self.type = type
        self.key = key
        self.hash = hash
    }

    private static func hash(name: String, type: UInt8, key: PublicKey) -> UInt32 {
        Digest.sha256(Array(name.utf8) + [0x0A, type] + key.bytes).bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }
}

extension VerifierKey: Comparable, CustomStringConvertible {
    /// The text that `init(_:)` parses.
    public var description: String {
        let hashBytes = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: hash >> UInt32($0)) }
        return "\(name)+\(Hex.encode(hashBytes))+\(Base64.encode([type] + key.bytes))"
    }

    /// Order of the texts as bytes, the order of sets of verifier keys.
    public static func < (left: VerifierKey, right: VerifierKey) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }
}
