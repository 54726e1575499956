public import Contracts

/// The cosignature/v1 of C2SP tlog-cosignature: a witness saw this checkpoint at that time.
public enum Cosignature {
    /// What a witness signs: two lines and the text of the checkpoint.
    public static func message(time: UInt64, text: [UInt8]) -> [UInt8] {
        Array("cosignature/v1\ntime \(time)\n".utf8) + text
    }

    /// The time and the signature of a blob that has the length of both.
    static func split(_ blob: [UInt8]) -> (time: UInt64, signature: [UInt8])? {
        guard blob.count == 72 else { return nil }
        return (blob[..<8].reduce(0) { $0 << 8 | UInt64($1) }, Array(blob[8...]))
    }

    /// Signs the text of a checkpoint; `verifierKey` has type 4 and belongs to the key.
    public static func sign(
        text: [UInt8],
        time: UInt64,
        with key: SigningKey,
        as verifierKey: VerifierKey
    ) -> SignedNote.Signature {
        sign(text: text, time: time, as: verifierKey) { key.signature(for: $0) }
    }

    /// Signs the text of a checkpoint with whatever makes the 64 bytes of a signature.
    public static func sign(
        text: [UInt8],
        time: UInt64,
        as verifierKey: VerifierKey,
        signature: (_ message: [UInt8]) -> [UInt8]
    ) -> SignedNote.Signature {
        let timeBytes = stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: time >> UInt64($0)) }
        return SignedNote.Signature(
            name: verifierKey.name,
            hash: verifierKey.hash,
            blob: timeBytes + signature(message(time: time, text: text))
        )
    }
}
