import Crypto

/// Why bytes are no private key.
public enum KeyError: Error, Hashable, Sendable {
    /// The seed has not 32 bytes.
    case seedLength(Int)
    /// The public key of the seed is one of the low-order points.
    case weakKey
}

/// An Ed25519 private key, made from its 32-byte seed (RFC 8032). Randomness comes from the caller.
public struct SigningKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey

    /// The 32 bytes that the key was made from. A secret.
    public let seed: [UInt8]

    /// The public half.
    public let publicKey: PublicKey

    /// Key id of the public half.
    public let keyID: KeyID

    /// Derives the key from exactly 32 bytes.
    public init(seed: [UInt8]) throws(KeyError) {
        guard seed.count == 32, let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            throw .seedLength(seed.count)
        }
        guard let publicKey = PublicKey([UInt8](key.publicKey.rawRepresentation)) else { throw .weakKey }
        self.key = key
        self.seed = seed
        self.publicKey = publicKey
        self.keyID = publicKey.keyID
    }

    /// The deterministic 64-byte signature of RFC 8032.
    public func signature(for message: [UInt8]) -> [UInt8] {
        guard let signature = try? key.signature(for: message) else {
            preconditionFailure("an Ed25519 key signs any message")
        }
        return [UInt8](signature)
    }
}

extension SigningKey: CustomStringConvertible, CustomDebugStringConvertible {
    /// The key id; the seed is never printed.
    public var description: String { "SigningKey(\(keyID.hex))" }

    /// The key id; the seed is never printed.
    public var debugDescription: String { description }
}
