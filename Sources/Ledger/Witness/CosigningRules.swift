public import Contracts

/// The rules of C2SP tlog-witness v1.0.0. Pure.
public enum CosigningRules {
    /// A request for a known log whose checkpoint the log signed. Only `admit` makes one.
    public struct SignedRequest: Sendable {
        public let request: AddCheckpointRequest
        /// The checkpoint with the verified lines of the log only, each key once.
        public let checkpoint: Checkpoint

        fileprivate init(request: AddCheckpointRequest, checkpoint: Checkpoint) {
            self.request = request
            self.checkpoint = checkpoint
        }
    }

    /// What follows from a signed request and what the witness remembers.
    public enum Decision: Sendable {
        /// Store this, then sign it.
        case cosign(WitnessedCheckpoint)
        /// Answer so; evidence is a proof that the log has two histories.
        case refuse(WitnessAnswer, ForkEvidence?)
    }

    /// The checks that need no memory, in this order: form, origin, signature, old size.
    ///
    /// A line of a known key that does not verify spoils the note (protocol.md 8.2).
    public static func admit(
        _ body: [UInt8],
        to log: WitnessedLog?,
        check: SignatureCheck
    ) -> Result<SignedRequest, WitnessAnswer> {
        guard let request = AddCheckpointRequest(parsing: body) else { return .failure(.malformed) }
        let checkpoint = request.checkpoint
        guard let log, log.origin.utf8.elementsEqual(checkpoint.origin.utf8) else { return .failure(.unknownOrigin) }
        guard let lines = try? checkpoint.note.verified(by: log.keys, check: check), !lines.isEmpty else {
            return .failure(.untrusted)
        }
        guard request.oldSize <= checkpoint.size else { return .failure(.oldSizeTooLarge) }
        return .success(SignedRequest(request: request, checkpoint: cleaned(checkpoint, of: log.keys)))
    }

    /// The checkpoint with those lines only that name a key of the log, each key once.
    private static func cleaned(_ checkpoint: Checkpoint, of keys: [VerifierKey]) -> Checkpoint {
        var seen: Set<VerifierKey> = []
        let signed = checkpoint.note.signatures.filter { signature in
            let key = keys.first { $0.hash == signature.hash && $0.name.utf8.elementsEqual(signature.name.utf8) }
            return key.map { seen.insert($0).inserted } ?? false
        }
        guard let clean = Checkpoint(note: SignedNote(text: checkpoint.note.text, signatures: signed)) else {
            preconditionFailure("the text did not change")
        }
        return clean
    }

    /// What a witness stands by that remembers nothing, and whose node verified a checkpoint: that one. Nil if no key of the
    /// log signed it.
    static func recalled(
        _ checkpoint: Checkpoint,
        of keys: [VerifierKey],
        at time: Timestamp,
        check: SignatureCheck
    ) -> WitnessedCheckpoint? {
        guard let lines = try? checkpoint.note.verified(by: keys, check: check),
            lines.contains(where: { $0.time == nil })
        else { return nil }
        return WitnessedCheckpoint(checkpoint: cleaned(checkpoint, of: keys), time: time)
    }

    /// The checks against what the witness stands by: old size, root of an equal size, consistency proof.
    ///
    /// - Parameter now: this machine's time; the cosignature's is never before that of the last one.
    public static func decide(_ signed: SignedRequest, latest: WitnessedCheckpoint?, now: Timestamp) -> Decision {
        let (request, new) = (signed.request, signed.checkpoint)
        let known = (size: latest?.checkpoint.size ?? 0, root: latest?.checkpoint.root ?? MerkleTree.emptyRoot)
        if new.size == known.size, new.root != known.root {
            let fork = latest.map { ForkEvidence(a: $0.checkpoint, b: new, prefixRoot: new.root, proof: []) }
            return .refuse(.conflict(size: known.size), fork)
        }
        guard request.oldSize == known.size else { return .refuse(.conflict(size: known.size), nil) }
        if new.size == known.size || known.size == 0 {
            guard request.proof.isEmpty else { return .refuse(.proofInvalid, nil) }
        } else {
            let roots = Proofs.consistencyRoots(
                from: known.size,
                root: known.root,
                to: new.size,
                proof: request.proof
            )
            guard let roots, roots.second == new.root else { return .refuse(.proofInvalid, nil) }
            guard roots.first == known.root else {
                // The proof is one, but of another tree of the size that the log signed before.
                let fork = latest.map {
                    ForkEvidence(a: $0.checkpoint, b: new, prefixRoot: roots.first, proof: request.proof)
                }
                return .refuse(.proofInvalid, fork)
            }
        }
        return .cosign(WitnessedCheckpoint(checkpoint: new, time: max(now, latest?.time ?? 0)))
    }
}
