internal import Contracts

/// The ledger keys of this server and the witnesses it can ask: what it takes to publish a checkpoint.
public struct CheckpointSigner: Sendable {
    let origin: String
    let ring: LedgerKeyRing
    let roster: WitnessRoster

    init(origin: String, ring: LedgerKeyRing, roster: WitnessRoster) {
        self.origin = origin
        self.ring = ring
        self.roster = roster
    }

    /// What a ledger key is verified with.
    static func verifierKey(_ key: SigningKey, origin: String) -> VerifierKey {
        VerifierKey(name: origin, type: VerifierKey.noteType, key: key.publicKey)
    }

    private func verifierKey(_ key: SigningKey) -> VerifierKey { Self.verifierKey(key, origin: origin) }

    /// The checkpoint of a tree, signed with each of the keys that this server holds. The caller has passed the sign
    /// guard.
    func checkpoint(size: UInt64, root: Digest, keys: [VerifierKey]) -> Checkpoint? {
        let held = ring.held.map { ($0, verifierKey($0)) }
        let note = SignedNote.signed(
            text: Checkpoint.text(origin: origin, size: size, root: root),
            by: keys.compactMap { key in held.first { $0.1 == key } }
        )
        return note.signatures.isEmpty ? nil : Checkpoint(note: note)
    }

    /// A tick that moves ledger time to `time`; nil before genesis, and for a server without a key that is in force.
    func tick(_ time: Timestamp, on state: ContractState) -> Envelope? {
        guard let ledger = state.ledgerID,
            let key = ring.held.first(where: { state.ledgerKeys.contains(verifierKey($0)) })
        else { return nil }
        return EntryDraft(
            .tick(TickBody(time: time)),
            ledger: ledger,
            account: ledger,
            signer: key.keyID,
            seq: state.lane(account: ledger, key: key.keyID) + 1,
            // Judged against the old ledger time, from which a tick steps a day at most.
            expires: min(state.now + 2 * TickSchedule.farthestStep, Timestamp.latest)
        ).signed(by: [key])
    }

    /// Whether this server could publish a checkpoint under the keys and the policy of a state: it holds one of the
    /// keys, and knows where enough of the witnesses are.
    ///
    /// An entry after which it could not is refused before it is logged, because nothing would be published after it.
    func canSign(_ state: ContractState) -> Bool {
        if holdsKey(state), coversPolicy(state) { return true }
        // A key or a witness may have been added for just this entry.
        try? ring.reload()
        try? roster.reload()
        return holdsKey(state) && coversPolicy(state)
    }

    func holdsKey(_ state: ContractState) -> Bool {
        ring.held.contains { state.ledgerKeys.contains(verifierKey($0)) }
    }

    func coversPolicy(_ state: ContractState) -> Bool { state.policy.map(roster.covers) ?? false }
}
