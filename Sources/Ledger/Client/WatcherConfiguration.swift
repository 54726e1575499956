public import Contracts
internal import Foundation

/// What a watcher follows, where it keeps what it verified, and its limits.
public struct WatcherConfiguration: Sendable {
    /// The ledger first, then its mirrors.
    public var urls: [String]
    /// Other nodes that follow the ledger: asked for the checkpoint they stand by, and told of a fork.
    public var peers: [String] = []
    /// Witnesses of the ledger, asked and told like peers.
    public var witnesses: [String] = []
    /// Auditors, who are told of a fork.
    public var auditors: [String] = []
    /// The pin: txid of the genesis payload. Never taken from the ledger itself.
    public var ledgerID: Identifier
    /// Directory of the trust store; one process at a time.
    public var stateDirectory: String
    /// A checkpoint of at most 14 days that the first start has to go through; nil asks for none.
    public var startCheckpoint: [UInt8]?
    /// Accept a ledger whose policy is `quorum none`.
    public var isDev: Bool
    /// Start from a snapshot that the ledger's auditors attest, when nothing is verified yet; else from genesis.
    public var startsFromSnapshot = false
    /// After such a start, verify the whole history in the background while following.
    public var verifiesHistory = false
    public var limits = ClientLimits()
    /// Seconds that one long poll may take; 0 polls plainly. Together with the interval at which a ledger signs anew
    /// (60 s) it stays below the age at which state is called stale (120 s).
    public var longPoll = 25
    /// Between plain polls, and the longest pause after a source could not be reached (protocol.md 10.2: at most 5 s).
    public var poll: Duration = .seconds(5)
    /// Longest pause before a source is asked again whose answer was not believed.
    public var distrust: Duration = .seconds(60)
    /// Upper bound of the first pause after a failure.
    public var firstPause: Duration = .milliseconds(200)
    /// How often a mirror is asked for its checkpoint, and an unchanged state published again.
    public var interval: Duration = .seconds(60)
    /// How often the freshness is looked at.
    public var heartbeat: Duration = .seconds(5)
    /// Entry bytes kept between hashing and folding; what is above is fetched again and compared by its hash.
    public var entryBudget = 32 << 20
    /// Entry bundles fetched at the same time.
    public var bundlesInFlight = 4
    /// Time in which a source of entries has to give the next bundle before another source is asked as well; nil waits for
    /// its failure.
    public var patience: Duration? = .seconds(5)
    /// Local wall clock, in seconds since 1970.
    public var now: @Sendable () -> Timestamp = { Timestamp(Date().timeIntervalSince1970) }
    /// Time that passes whatever is done to the wall clock, since any fixed moment.
    public var monotonic: @Sendable () -> Duration = Self.continuous
    /// Peers and witnesses asked at a time (protocol.md 10.2 step 11).
    public var gossip = 3
    /// Between two rounds of all sources while the state is stale.
    public var staleInterval: Duration = .seconds(15)
    /// Clock of every pause.
    public var clock: any Clock<Duration> = ContinuousClock()
    /// Uniform in 0 ..< 1, for the jitter of pauses.
    public var random: @Sendable () -> Double = { Double.random(in: 0..<1) }
    /// Called for everything that was refused, on the watcher's task; for metrics and logs.
    public var onRefusal: @Sendable (LedgerRefusal) -> Void = { _ in }

    private static let continuous: @Sendable () -> Duration = {
        let clock = ContinuousClock()
        return { [start = clock.now] in start.duration(to: clock.now) }
    }()

    public init(urls: [String], ledgerID: Identifier, stateDirectory: String, isDev: Bool = false) {
        self.urls = urls
        self.ledgerID = ledgerID
        self.stateDirectory = stateDirectory
        self.isDev = isDev
    }

    /// Every source with its role, the ledger first.
    var sources: [(url: String, role: LedgerClient.Role)] {
        urls.enumerated().map { ($1, $0 == 0 ? .ledger : .mirror) } + peers.map { ($0, .peer) }
            + witnesses.map { ($0, .witness) } + auditors.map { ($0, .auditor) }
    }
}
