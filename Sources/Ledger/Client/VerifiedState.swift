public import Contracts

/// How fresh the verified state is by its quorum time and the local clock (protocol.md 10.5).
public enum Freshness: Int, Sendable, Hashable, Comparable {
    /// Age at most 120 s.
    case normal
    /// Above 120 s: all sources are asked.
    case stale
    /// Above 900 s: keep serving, bind no new names, hosts or leases.
    case alarm
    /// Above 1,209,600 s: every contract drains.
    case expired

    public static let staleAge: Int64 = 120
    public static let alarmAge: Int64 = 900
    public static let expiredAge: Int64 = 1_209_600

    /// - Parameter age: local time minus quorum time, in seconds; below zero counts as zero.
    public init(age: Int64) {
        self =
            switch age {
            case ...Self.staleAge: .normal
            case ...Self.alarmAge: .stale
            case ...Self.expiredAge: .alarm
            default: .expired
            }
    }

    public static func < (left: Freshness, right: Freshness) -> Bool { left.rawValue < right.rawValue }
}

/// What the gateway has to know about the ledger besides its state.
public enum LedgerCondition: Sendable, Hashable {
    case normal
    /// No checkpoint with a fresh quorum for `age` seconds; the table of 10.5 applies.
    case stale(age: Int64)
    /// The watcher follows no further. The last verified state keeps being served under the table of 10.5.
    case halted(VerificationResult, message: String)
}

/// What the watcher publishes after everything was proven and is durable.
public struct VerifiedState: Sendable {
    public let state: ContractState
    /// Entries verified and folded.
    public let size: UInt64
    public let root: Digest
    /// k-th largest cosignature time of the newest checkpoint; with `quorum none` the time of its receipt.
    public let quorumTime: Timestamp
    /// By the local clock at the time of publication.
    public let condition: LedgerCondition
    /// Seconds by which the local clock is known to be behind; add them to every reading of it (protocol.md 10.5).
    public let clockLag: Int64
    /// What needs a person although the node goes on.
    public let alarms: [LedgerAlarm]
    /// What is known of the entries before the snapshot that the node started from; nil for one that replayed.
    public let history: SnapshotHistory?

    public init(
        state: ContractState,
        size: UInt64,
        root: Digest,
        quorumTime: Timestamp,
        condition: LedgerCondition,
        clockLag: Int64 = 0,
        alarms: [LedgerAlarm] = [],
        history: SnapshotHistory? = nil
    ) {
        self.history = history
        self.clockLag = clockLag
        self.alarms = alarms
        self.state = state
        self.size = size
        self.root = root
        self.quorumTime = quorumTime
        self.condition = condition
    }

    /// Seconds since the quorum time; the clock is the caller's.
    public func age(at now: Timestamp) -> Int64 { max(0, now + clockLag - quorumTime) }

    public func freshness(at now: Timestamp) -> Freshness { Freshness(age: age(at: now)) }
}

extension VerifiedState: CustomStringConvertible {
    /// Size, root, quorum time and condition; never the rows.
    public var description: String { "size \(size), root \(root), quorum time \(quorumTime), \(condition)" }
}
