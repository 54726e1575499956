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

    public init(quorumTime: Timestamp?, halt: String? = nil, clockLag: Int64 = 0, alarms: [Alarm] = []) {
        self.quorumTime = quorumTime
        self.halt = halt
        self.clockLag = clockLag
        self.alarms = alarms
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
