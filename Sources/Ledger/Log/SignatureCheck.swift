public import Contracts

/// How an Ed25519 signature is checked.
///
/// A parameter of everything that judges notes, so that a simulation can run thousands of histories with a cheap
/// stand-in; whatever talks to real ledgers uses `ed25519`.
public struct SignatureCheck: Sendable {
    /// Whether `signature` is one of `message` under `key`.
    public let isValid: @Sendable (_ key: PublicKey, _ signature: [UInt8], _ message: [UInt8]) -> Bool

    public init(_ isValid: @escaping @Sendable (_ key: PublicKey, _ signature: [UInt8], _ message: [UInt8]) -> Bool) {
        self.isValid = isValid
    }

    /// The strict check of protocol.md 2.5.
    public static let ed25519 = SignatureCheck { key, signature, message in
        key.isValid(signature: signature, for: message)
    }
}
