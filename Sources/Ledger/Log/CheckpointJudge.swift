public import Contracts

/// A checkpoint whose origin, signatures and quorum were verified. Only `CheckpointJudge` makes one.
public struct JudgedCheckpoint: Sendable {
    public let checkpoint: Checkpoint

    /// The quorum time; nil only for `quorum none` judged without a local time.
    public let quorumTime: Timestamp?

    /// Verified lines of ledger keys and witnesses.
    public let lines: [SignedNote.Verified]

    fileprivate init(checkpoint: Checkpoint, quorumTime: Timestamp?, lines: [SignedNote.Verified]) {
        self.checkpoint = checkpoint
        self.quorumTime = quorumTime
        self.lines = lines
    }

    /// Fork and staleness against a trusted tree.
    ///
    /// `rootAt` gives the root of the known leaves at a size; it knows all sizes up to `trustedSize`, and larger ones as far
    /// as data are at hand. Without data for a larger size the answer is `ok`: consistency is then still to be proven.
    public func compared(
        trustedSize: UInt64,
        rootAt: (UInt64) throws -> Digest?
    ) rethrows -> VerificationResult {
        let root = checkpoint.size == 0 ? MerkleTree.emptyRoot : try rootAt(checkpoint.size)
        if let root, root != checkpoint.root { return .checkpointFork }
        return checkpoint.size < trustedSize ? .checkpointStale : .ok
    }
}

/// Judges checkpoints of one ledger under one key set and one policy.
public struct CheckpointJudge: Sendable {
    /// Origin of the ledger.
    public let origin: String

    /// The keys of which one must have signed.
    public let ledgerKeys: [VerifierKey]

    /// The policy whose quorum must have cosigned.
    public let policy: WitnessPolicy

    /// Whether `quorum none` is accepted.
    public let dev: Bool

    /// How signatures are checked.
    public let check: SignatureCheck

    /// Without `dev` a ledger whose quorum is none has no valid checkpoint.
    public init(
        origin: String,
        ledgerKeys: [VerifierKey],
        policy: WitnessPolicy,
        dev: Bool = false,
        check: SignatureCheck = .ed25519
    ) {
        self.origin = origin
        self.ledgerKeys = ledgerKeys
        self.policy = policy
        self.dev = dev
        self.check = check
    }

    /// Judges in this order: malformed, origin, ledger signature and known lines, quorum.
    ///
    /// `localNow` bounds the times of witnesses; nil counts every time. Fork and staleness follow in
    /// `JudgedCheckpoint.compared`.
    public func judge(note bytes: [UInt8], localNow: Timestamp?) -> Result<JudgedCheckpoint, VerificationResult> {
        do {
            return judge(try Checkpoint(parsing: bytes), localNow: localNow)
        } catch {
            return .failure(error)
        }
    }

    /// Judges a checkpoint that was parsed.
    public func judge(
        _ checkpoint: Checkpoint,
        localNow: Timestamp?
    ) -> Result<JudgedCheckpoint, VerificationResult> {
        guard Array(checkpoint.origin.utf8) == Array(origin.utf8) else { return .failure(.checkpointOrigin) }
        let lines: [SignedNote.Verified]
        do {
            lines = try checkpoint.note.verified(by: ledgerKeys + policy.witnesses.map(\.key), check: check)
        } catch {
            return .failure(.checkpointSignature)
        }
        guard lines.contains(where: { $0.time == nil && ledgerKeys.contains($0.key) }) else {
            return .failure(.checkpointSignature)
        }
        if case .none = policy.quorum, !dev { return .failure(.checkpointQuorum) }
        guard case .met(let time) = policy.judge(lines, localNow: localNow) else { return .failure(.checkpointQuorum) }
        return .success(JudgedCheckpoint(checkpoint: checkpoint, quorumTime: time, lines: lines))
    }
}
