import Crypto

/// A SHA-256 value, an id or a key id: 32 bytes, ordered as bytes.
public struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    var raw: Bytes32

    init(raw: Bytes32) {
        self.raw = raw
    }

    /// Takes exactly 32 bytes; nil for any other count.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32, let raw = Bytes32(bytes) else { return nil }
        self.raw = raw
    }

    /// Takes exactly 64 digits `[0-9a-f]`; nil for anything else.
    public init?(hex: String) {
        guard let raw = Bytes32(hex: hex) else { return nil }
        self.raw = raw
    }

    /// The 32 bytes.
    public var bytes: [UInt8] { raw.bytes }

    /// Sixty-four digits `[0-9a-f]`.
    public var hex: String { raw.hex }

    /// The same as `hex`.
    public var description: String { raw.hex }

    /// SHA-256 of the bytes.
    public static func sha256(_ bytes: [UInt8]) -> Digest {
        Digest(finished: SHA256.hash(data: bytes))
    }

    init(finished digest: SHA256.Digest) {
        var bytes = digest.makeIterator()
        func word() -> UInt64 {
            var word: UInt64 = 0
            var count = 0
            while count < 8 {
                word = word << 8 | UInt64(bytes.next() ?? 0)
                count += 1
            }
            return word
        }
        raw = Bytes32(w0: word(), w1: word(), w2: word(), w3: word())
    }

    /// Takes 32 bytes of an array from `start`; the caller has checked the bounds.
    public init(_ bytes: [UInt8], at start: Int) {
        raw = Bytes32(bytes, at: start)
    }

    /// Thirty-two zero bytes: the ledger id that a genesis payload names.
    public static let zero = Digest(raw: .zero)

    /// Appends the 32 bytes without an intermediate array.
    public func append(to bytes: inout [UInt8]) {
        raw.append(to: &bytes)
    }

    /// Appends the 64 digits without an intermediate string.
    public func appendHex(to text: inout [UInt8]) {
        raw.appendHex(to: &text)
    }

    public static func < (left: Digest, right: Digest) -> Bool { left.raw < right.raw }
}

/// The id of an object: the txid of the entry that created it.
public typealias Identifier = Digest

/// SHA-256 of 0x01 and an Ed25519 public key.
public typealias KeyID = Digest
