public import Contracts

/// What a witness knows of a log at the moment of a request: its name and the keys that may sign for it.
public struct WitnessedLog: Sendable, Hashable {
    public var origin: String
    /// The ledger's key set now; a witness takes it from state that it verified.
    public var keys: [VerifierKey]

    public init(origin: String, keys: [VerifierKey]) {
        self.origin = origin
        self.keys = keys
    }

    /// The name of the log in the path of its monitoring resource: hex of SHA-256 of the origin.
    public static func pathName(of origin: String) -> String { Digest.sha256(Array(origin.utf8)).hex }
}

/// The newest checkpoint of a log that a witness stands by.
public struct WitnessedCheckpoint: Sendable {
    /// The checkpoint with those signature lines only that verified under a key of the log.
    public var checkpoint: Checkpoint
    /// Seconds since 1970 of the newest cosignature; never smaller than that of an earlier one.
    public var time: Timestamp

    public init(checkpoint: Checkpoint, time: Timestamp) {
        self.checkpoint = checkpoint
        self.time = time
    }
}
