/// Every size and time limit of the ledger client, each with its default and the reason for it.
public struct ClientLimits: Sendable, Hashable {
    /// Largest checkpoint note, in bytes (protocol.md 8.2: a note is at most 64 KiB).
    public var checkpointBytes = 64 * 1024
    /// Largest hash tile, in bytes (256 hashes of 32 bytes).
    public var tileBytes = 256 * 32
    /// Largest entry bundle, in bytes, also after gunzip (256 entries of u16 length and at most 65,535 bytes).
    public var bundleBytes = 256 * 65537
    /// Largest receipt, transaction state or answer to a submission, in bytes.
    public var answerBytes = 64 * 1024
    /// Largest sum of all header lines of one response, in bytes; a ledger sends a few hundred.
    public var headerBytes = 32 * 1024
    /// Time to reach a source: name look-up, TCP and TLS. Long enough for a lost SYN and its two repetitions.
    public var connect: Duration = .seconds(10)
    /// Total time of one request, from the first byte out to the last byte in.
    public var deadline: Duration = .seconds(20)
    /// Total time of one bundle, which may be large and behind a slow link.
    public var bundleDeadline: Duration = .seconds(60)
    /// Total time of one submission: the server waits up to 20 s for a witnessed checkpoint.
    public var submissionDeadline: Duration = .seconds(30)
    /// Fewest bytes per second, on average over `slowTime`; a slower source is given up.
    public var slowBytesPerSecond = 16
    /// Window over which `slowBytesPerSecond` is measured.
    public var slowTime: Duration = .seconds(15)
    /// What the client calls itself.
    public var userAgent = "gw-node (WebGW ledger client)"

    public init() {}
}

extension Duration {
    /// Whole milliseconds, rounded down; clamped at zero.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return max(0, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
    }
}
