public import Contracts

/// How fresh the verified state behind a table is (section 10.5 of the protocol).
public struct Freshness: Hashable, Sendable {
    /// Something about the ledger that needs a person; shown by `status`.
    public struct Alarm: Hashable, Sendable {
        public var code: String
        public var message: String

        public init(code: String, message: String) {
            self.code = code
            self.message = message
        }
    }

    /// How much of the ledger's history a node has verified that started from a snapshot; shown by `status`.
    public struct History: Hashable, Sendable {
        /// Entries before the snapshot.
        public var entries: UInt64
        /// How many of them were verified.
        public var verified: UInt64
        /// `attested`, `verifying` or `verified`.
        public var state: String

        public init(entries: UInt64, verified: UInt64, state: String) {
            self.entries = entries
            self.verified = verified
            self.state = state
        }
    }

    /// Seconds of age above which the state is called stale.
    public static let staleAfter: Timestamp = 120

    /// Seconds of age above which no new names, hosts or ports are bound.
    public static let bindsNothingAfter: Timestamp = 900

    /// Seconds of age above which every contract drains, whatever it allows itself.
    public static let drainsEverythingAfter: Timestamp = 1_209_600

    /// The quorum time of the newest checkpoint; nil in development, where a ledger has no witnesses and age is not judged.
    public var quorumTime: Timestamp?

    /// Why the watcher halted; the state is the last good one and will not move.
    public var halt: String?

    /// Seconds by which the local clock is known to be behind; added to every reading, so that nothing is extended.
    public var clockLag: Int64

    public var alarms: [Alarm]

    /// Nil for a node that replayed.
    public var history: History?

    public init(
        quorumTime: Timestamp?,
        halt: String? = nil,
        clockLag: Int64 = 0,
        alarms: [Alarm] = [],
        history: History? = nil
    ) {
        self.quorumTime = quorumTime
        self.halt = halt
        self.clockLag = clockLag
        self.alarms = alarms
        self.history = history
    }

    public var isHalted: Bool { halt != nil }

    /// Seconds since the quorum time; nil without one.
    public func age(at now: Timestamp) -> Int64? { quorumTime.map { max(0, now + clockLag - $0) } }

    /// Whether names and ports that were not bound before may be bound now.
    public func bindsNew(at now: Timestamp) -> Bool {
        guard let age = age(at: now) else { return !isHalted }
        return age <= Self.bindsNothingAfter
    }

    /// `halted`, or by age `normal`, `stale`, `LedgerStale`, `expired`.
    public func condition(at now: Timestamp) -> String {
        if isHalted { return "halted" }
        return switch age(at: now) ?? 0 {
        case ...Self.staleAfter: "normal"
        case ...Self.bindsNothingAfter: "stale"
        case ...Self.drainsEverythingAfter: "LedgerStale"
        default: "expired"
        }
    }
}
