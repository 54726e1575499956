/// How an agent finds out whether a local service works, and tells the gateways when that changes.
public struct HealthCheck: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// A connection can be made, with a target over TLS up to the end of the handshake.
        case tcp
        /// `GET path` is answered with a status of 200 to 399, over HTTP/1.1, in plain or over TLS as visitors go.
        case http(path: String)
    }

    public var kind: Kind
    /// From one check to the next.
    public var interval: Duration = .seconds(2)
    /// What one check may take.
    public var timeout: Duration = .seconds(1)
    /// Good checks in a row after which a failed service counts as working.
    public var rise = 2
    /// Failed checks in a row after which a working service counts as failed.
    public var fall = 1

    public init(_ kind: Kind) { self.kind = kind }
}

/// What the checks of one exposure say over time. Pure.
struct HealthState: Equatable {
    private(set) var isHealthy = true
    private var streak = 0
    private var isFirst = true

    /// Takes the result of a check; true when the state changed. The first result counts alone, so that a service which is down when the
    /// agent starts is not offered.
    mutating func note(_ isFine: Bool, rise: Int, fall: Int) -> Bool {
        defer { isFirst = false }
        guard isFine != isHealthy else {
            streak = 0
            return false
        }
        streak += 1
        guard isFirst || streak >= (isFine ? rise : fall) else { return false }
        isHealthy = isFine
        streak = 0
        return true
    }
}
