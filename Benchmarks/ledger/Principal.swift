import Contracts

/// A twin with one owner key.
struct Principal {
    let key: SigningKey
    var id: Identifier?
    var sequence: Int64 = 0

    init(seed: UInt64, number: UInt64, role: String) {
        let digest = Digest.sha256(Array("\(seed) \(number) \(role)".utf8))
        guard let key = try? SigningKey(seed: digest.bytes) else { preconditionFailure("a hash is a seed") }
        self.key = key
    }

    /// The entry that makes the twin.
    mutating func join(_ ledger: Identifier, _ now: Timestamp) -> UnsignedEntry {
        let draft = EntryDraft(
            .twinCreate(TwinCreateBody(keys: TwinKeys(owner: [key.publicKey]))),
            ledger: ledger,
            signer: key.keyID,
            expires: now + 86_400
        )
        let entry = UnsignedEntry(draft, [key])
        id = entry.id
        return entry
    }

    /// The next entry of the twin.
    mutating func act(
        _ body: EntryBody,
        _ ledger: Identifier,
        _ now: Timestamp,
        also keys: [SigningKey] = []
    ) -> UnsignedEntry {
        sequence += 1
        let draft = EntryDraft(
            body,
            ledger: ledger,
            account: id,
            signer: key.keyID,
            seq: sequence,
            expires: now + 86_400
        )
        return UnsignedEntry(draft, [key] + keys)
    }
}

/// An entry that is not signed yet: signing costs most of making one, and runs on all cores.
struct UnsignedEntry: Sendable {
    let payload: [UInt8]
    let id: Identifier
    let keys: [SigningKey]

    init(_ draft: EntryDraft, _ keys: [SigningKey]) {
        payload = draft.payload
        id = Envelope(payload: payload, signatures: []).id
        self.keys = keys
    }

    var signed: Envelope { Envelope(payload: payload, signedBy: keys) }
}
