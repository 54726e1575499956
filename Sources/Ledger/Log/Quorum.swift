public import Contracts

extension WitnessPolicy {
    /// Seconds by which the clock of a witness may be ahead of the local one.
    public static let clockTolerance: Timestamp = 300

    /// Whether a quorum cosigned, and its quorum time: the k-th largest time of distinct public keys.
    ///
    /// Cosignatures with a time above `localNow` + 300 do not count; with nil every time counts (pack verification). A time
    /// above the year 9999 is taken as its end. With `quorum none` there is always a quorum, at `localNow`.
    public func judge(_ verified: [SignedNote.Verified], localNow: Timestamp?) -> QuorumVerdict {
        guard case .of(let k, let members) = quorum else { return .met(time: localNow) }
        var latest: [PublicKey: UInt64] = [:]
        for line in verified {
            guard let time = line.time, members.contains(line.key) else { continue }
            if let localNow, time > UInt64(max(localNow, 0)) + UInt64(Self.clockTolerance) { continue }
            latest[line.key.key] = max(latest[line.key.key] ?? 0, time)
        }
        guard latest.count >= k else { return .missing(latest.count, of: k) }
        let times = latest.values.sorted(by: >)
        return .met(time: Timestamp(min(times[k - 1], UInt64(Timestamp.latest))))
    }
}

/// Whether enough witnesses cosigned.
public enum QuorumVerdict: Sendable, Hashable {
    /// Enough did; the time is nil only for `quorum none` without a local time.
    case met(time: Timestamp?)
    /// So many did, of so many that are needed.
    case missing(Int, of: Int)
}
