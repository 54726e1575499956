/// An Ed25519 public key: 32 bytes that pass rule E2.
///
/// E2 tests only the y coordinate, so a key need not be a point on the curve; no signature under such a key is valid.
public struct PublicKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    let raw: Bytes32

    /// Takes exactly 32 bytes that pass E2; nil for anything else.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32, let raw = Bytes32(bytes), StrictEd25519.isAcceptable(encodedPoint: raw) else {
            return nil
        }
        self.raw = raw
    }

    /// Takes exactly 64 digits `[0-9a-f]` of a key that passes E2; nil for anything else.
    public init?(hex: String) {
        guard let raw = Bytes32(hex: hex), StrictEd25519.isAcceptable(encodedPoint: raw) else { return nil }
        self.raw = raw
    }

    /// The 32 bytes.
    public var bytes: [UInt8] { raw.bytes }

    /// Sixty-four digits `[0-9a-f]`.
    public var hex: String { raw.hex }

    /// The same as `hex`.
    public var description: String { raw.hex }

    /// SHA-256 of 0x01 and the key; computed at each call.
    public var keyID: KeyID {
        .sha256(
            [UInt8](capacity: 33) { message in
                message.append(1)
                raw.append(to: &message)
            }
        )
    }

    /// Whether the 64 bytes are a signature of the message under rules E1 to E4. Costs about 60 microseconds.
    public func isValid(signature: [UInt8], for message: [UInt8]) -> Bool {
        StrictEd25519.isValid(signature: signature, for: message, key: self)
    }

    public static func < (left: PublicKey, right: PublicKey) -> Bool { left.raw < right.raw }
}
