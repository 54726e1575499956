public import Contracts

/// A witness's name and key, and the means to sign with it.
public struct WitnessIdentity: Sendable {
    /// Key of type 4; policies name it.
    public let verifierKey: VerifierKey
    private let signature: @Sendable (_ message: [UInt8]) -> [UInt8]

    /// - Parameter name: 1 to 128 visible characters without `+`; the name in the signature lines.
    public init(name: String, key: SigningKey) {
        self.init(
            verifierKey: VerifierKey(name: name, type: VerifierKey.cosignatureType, key: key.publicKey)
        ) { key.signature(for: $0) }
    }

    /// With another way to make the 64 bytes of a signature.
    public init(verifierKey: VerifierKey, signature: @escaping @Sendable (_ message: [UInt8]) -> [UInt8]) {
        precondition(verifierKey.type == VerifierKey.cosignatureType, "a witness has a key of type 4")
        self.verifierKey = verifierKey
        self.signature = signature
    }

    /// Whether the name can stand in a signature line.
    public static func isName(_ name: String) -> Bool { Grammar.isNoteName(name.utf8) }

    /// The cosignature/v1 of a checkpoint that is stored. The same time gives the same line.
    func line(over witnessed: WitnessedCheckpoint) -> SignedNote.Signature {
        Cosignature.sign(
            text: witnessed.checkpoint.note.text,
            time: UInt64(witnessed.time),
            as: verifierKey,
            signature: signature
        )
    }
}
