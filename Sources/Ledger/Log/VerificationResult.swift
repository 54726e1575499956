/// What came of verifying something of a log: the closed list of the protocol.
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

    public var description: String { rawValue }
}
