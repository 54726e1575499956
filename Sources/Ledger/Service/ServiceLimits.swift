/// Every size and time limit of the ledger's server, each with its default and the reason for it.
public struct ServiceLimits: Sendable, Hashable {
    /// Entries in one batch (protocol.md 11).
    public var batchEntries = 256
    /// Bytes of the entries in one batch, besides ticks: etcd refuses a transaction above 1.5 MiB, and 1024 ticks have
    /// 0.7 MiB.
    public var batchBytes = 512 * 1024
    /// Pause between two questions to a shared log whether others wrote to it.
    public var followPause: Duration = .milliseconds(100)
    /// Entries that wait for a batch; more are answered 503. Sixteen batches, about two seconds of work.
    public var queuedEntries = 4096
    /// Time a submission waits for a checkpoint before it is answered 202 (protocol.md 9).
    public var submissionWait: Duration = .seconds(20)
    /// Pause before the store is asked again after an error; doubled up to `retryLongest`.
    public var retryShortest: Duration = .milliseconds(100)
    /// A full disk is noticed to have space again within this time.
    public var retryLongest: Duration = .seconds(2)
    /// Time for a witness to answer; one that is slower does not count for this checkpoint.
    public var witnessTime: Duration = .seconds(5)
    /// Largest answer of a witness, in bytes: a few signature lines.
    public var witnessAnswerBytes = 16 * 1024
    /// Age of the cosignatures at which an idle ledger has its checkpoint cosigned anew (protocol.md 10.5).
    public var renewal: Duration = .seconds(60)
    /// Time without a quorum of witnesses after which no more entries are taken.
    public var quorumPatience: Duration = .seconds(60)
    /// Rejected entries whose code is remembered for GET /tx; a hint only.
    public var rememberedRejections = 10_000

    /// Largest body of a submission, in bytes (protocol.md 9).
    public var submissionBytes = 24 * 1024
    /// Header lines of a request, in bytes; clients of a ledger send a few hundred.
    public var headerBytes = 16 * 1024
    /// Number of header fields of a request.
    public var headerFields = 100
    /// Time from a connection's start, or its last answer, to the next complete request head.
    public var headTime: Duration = .seconds(60)
    /// Time from a request's head to the end of its body: 24 KiB over a slow line.
    public var bodyTime: Duration = .seconds(15)
    /// Time from the start of an answer until the client has taken all of it; a bundle may have 4 MiB.
    public var answerTime: Duration = .seconds(120)
    /// Open connections; more wait in the kernel's queue. Each costs about 30 KiB.
    public var connections = 4096
    /// Long polls at the same time; more are answered 503. One for each watcher.
    public var longPolls = 3000
    /// Entries one client address may submit a second, on average; each costs about 0.3 ms of one core.
    public var submissionsPerSecond = 500.0
    /// Entries one client address may submit at once.
    public var submissionBurst = 5000.0
    /// Checkpoints and evidence that one address may bring to a witness a second, on average.
    public var witnessRequestsPerSecond = 100.0
    /// As many at once.
    public var witnessRequestBurst = 1000.0
    /// Client addresses whose rate is remembered; the longest silent one is forgotten first.
    public var rememberedAddresses = 16_384

    /// Entry bundles in gzip that are kept in memory, in bytes: about 500 full ones, so that gateways that catch up together
    /// cost one compression of each bundle.
    public var compressedBytes = 32 << 20

    /// Entries between two snapshots of the state; 0 takes none. What follows a snapshot is folded by whoever starts from
    /// it, at most a few seconds of work.
    public var snapshotEvery: UInt64 = 65_536
    /// Snapshots that are kept, the newest; each is as large as the state.
    public var snapshotsKept = 3

    public init() {}
}
