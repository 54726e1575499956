public import Contracts

extension SignedNote {
    /// A line that verified: its key and, for a cosignature, its time.
    public struct Verified: Sendable, Hashable {
        public let key: VerifierKey
        /// Seconds since 1970 as the witness wrote them; nil for lines of type 1.
        public let time: UInt64?
    }

    /// A line that carries the name and hash of a known key and verifies under none of the keys that share them.
    public struct BadLine: Error, Hashable, Sendable {
        public let name: String
    }

    /// Verifies each line whose (name, hash) one of the keys has; all other lines are ignored.
    ///
    /// The hash has four bytes, so keys can share it by design of an attacker: such a line must verify under one of them.
    public func verified(
        by keys: [VerifierKey],
        check: SignatureCheck = .ed25519
    ) throws(BadLine) -> [Verified] {
        var verified: [Verified] = []
        for signature in signatures {
            let name = Array(signature.name.utf8)
            let candidates = keys.filter { $0.hash == signature.hash && Array($0.name.utf8) == name }
            guard !candidates.isEmpty else { continue }
            let valid = candidates.compactMap { verify(signature, under: $0, check) }
            guard !valid.isEmpty else { throw BadLine(name: signature.name) }
            verified.append(contentsOf: valid)
        }
        return verified
    }

    private func verify(_ signature: Signature, under key: VerifierKey, _ check: SignatureCheck) -> Verified? {
        if key.type == VerifierKey.cosignatureType {
            guard let (time, bytes) = Cosignature.split(signature.blob),
                check.isValid(key.key, bytes, Cosignature.message(time: time, text: text))
            else { return nil }
            return Verified(key: key, time: time)
        }
        guard check.isValid(key.key, signature.blob, text) else { return nil }
        return Verified(key: key, time: nil)
    }
}
