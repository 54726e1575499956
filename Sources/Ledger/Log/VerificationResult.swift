/// What came of verifying something of a log: the closed list of the protocol, and last the halt of a node that started
/// from a false snapshot.
public enum VerificationResult: String, Error, Sendable, CaseIterable, CustomStringConvertible {
    case ok = "ok"
    case noteMalformed = "note.malformed"
    case checkpointOrigin = "checkpoint.origin"
    case checkpointSignature = "checkpoint.signature"
    case checkpointQuorum = "checkpoint.quorum"
    /// Valid, older than what is trusted, and a prefix of it.
    case checkpointStale = "checkpoint.stale"
    case checkpointFork = "checkpoint.fork"
    case entriesMismatch = "entries.mismatch"
    case timeJump = "time.jump"
    case evidenceInvalid = "evidence.invalid"
    case manifestInvalid = "manifest.invalid"
    case unsupported = "unsupported"
    /// Auditors attest another state than the log gives.
    case stateDivergence = "state.divergence"

    public var description: String { rawValue }
}
