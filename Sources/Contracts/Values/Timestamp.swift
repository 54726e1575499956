/// Seconds since 1970-01-01T00:00:00Z, 0...253402300799.
public typealias Timestamp = Int64

extension Timestamp {
    /// The last second of the year 9999, the largest value of the protocol's `time`.
    public static let latest: Timestamp = 253_402_300_799
}
