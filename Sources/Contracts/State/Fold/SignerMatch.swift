/// Matches the key ids of an envelope against groups of keys, without backtracking (section 3.3).
struct SignerMatch {
    private let signer: KeyID
    private let signers: [KeyID]
    /// The key of each signer that a group took.
    private(set) var keys: [PublicKey?]

    /// `signers` are the key ids of the envelope, ascending. The primary signer must be among them.
    init(_ signers: [KeyID], signer: KeyID) throws(Code) {
        guard signers.contains(signer) else { throw .signatureMissing }
        self.signer = signer
        self.signers = signers
        keys = [PublicKey?](repeating: nil, count: signers.count)
    }

    /// Takes signers that a group knows and that no group before took: the primary one first, then ascending.
    mutating func take(_ count: Int64, from group: (KeyID) -> PublicKey?) throws(Code) {
        var missing = count
        if let index = signers.firstIndex(of: signer), missing > 0, keys[index] == nil, let key = group(signer) {
            keys[index] = key
            missing -= 1
        }
        for index in signers.indices {
            guard missing > 0 else { return }
            guard keys[index] == nil, let key = group(signers[index]) else { continue }
            keys[index] = key
            missing -= 1
        }
        guard missing == 0 else { throw .signatureMissing }
    }

    /// The key of each signer, in their order; no signer may be left over.
    func finish() throws(Code) -> [PublicKey] {
        let taken = keys.compactMap { $0 }
        guard taken.count == signers.count else { throw .signatureUnexpected }
        return taken
    }
}
