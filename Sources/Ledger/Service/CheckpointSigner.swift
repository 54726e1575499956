internal import Contracts

/// The ledger key of this server: it signs checkpoints and ticks.
public struct CheckpointSigner: Sendable {
    let origin: String
    let key: SigningKey
    let verifierKey: VerifierKey

    init(origin: String, key: SigningKey) {
        self.origin = origin
        self.key = key
        verifierKey = VerifierKey(name: origin, type: VerifierKey.noteType, key: key.publicKey)
    }

    /// The checkpoint of a tree, signed. The caller has passed the sign guard.
    func checkpoint(size: UInt64, root: Digest) -> [UInt8] {
        SignedNote.signed(
            text: Checkpoint.text(origin: origin, size: size, root: root),
            by: [(key, verifierKey)]
        ).bytes
    }

    /// A tick that moves ledger time to `time`; nil before genesis.
    func tick(_ time: Timestamp, on state: ContractState) -> Envelope? {
        guard let ledger = state.ledgerID else { return nil }
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

    /// Whether a checkpoint that this server alone signs is valid under the keys and the policy of a state.
    ///
    /// Cosignatures of witnesses are not collected, and one key is held: an entry that would ask for more is refused
    /// before it is logged, because after it no checkpoint could be published.
    func canSign(_ state: ContractState) -> Bool {
        state.ledgerKeys.contains(verifierKey) && state.policy?.quorum == WitnessPolicy.Quorum.none
    }
}
