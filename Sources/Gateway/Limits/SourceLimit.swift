/// How often one source may do what costs this side something: begin a TLS handshake on the tunnel endpoint, which takes a
/// signature and a key exchange before it is known who asks, or ask for names that nobody serves. Pure; time is a parameter.
struct SourceLimit {
    /// IPv4 address, or the /64 of an IPv6 address.
    enum Source: Hashable {
        case v4(UInt32)
        case v6(UInt64)

        init?(_ address: SocketAddress?) {
            switch address {
            case .v4(let address, _): self = .v4(address)
            case .v6(let high, _, _, _): self = .v6(high)
            default: return nil
            }
        }
    }

    private struct Bucket {
        var tokens: Double
        var filled: MonotonicNanoseconds
    }

    /// Times in a burst.
    let burst: Double
    /// Times per second.
    let rate: Double
    private static let mostSources = 65_536
    private var buckets: [Source: Bucket] = [:]

    init(burst: Int, perSecond: Int) {
        self.burst = Double(burst)
        rate = Double(perSecond)
    }

    /// True when the source may do it once more.
    mutating func admits(_ source: Source, now: MonotonicNanoseconds) -> Bool {
        if buckets.count >= Self.mostSources { forgetIdle(now) }
        var bucket = buckets[source] ?? Bucket(tokens: burst, filled: now)
        let seconds = Double(now &- bucket.filled) / 1_000_000_000
        bucket.tokens = min(burst, bucket.tokens + seconds * rate)
        bucket.filled = now
        let isAdmitted = bucket.tokens >= 1
        if isAdmitted { bucket.tokens -= 1 }
        // A full table of busy sources refuses new ones.
        if buckets[source] != nil || buckets.count < Self.mostSources {
            buckets[source] = bucket
            return isAdmitted
        }
        return false
    }

    /// Whether the source would be refused now. Takes nothing from it.
    func isUsedUp(_ source: Source, now: MonotonicNanoseconds) -> Bool {
        guard let bucket = buckets[source] else { return false }
        return bucket.tokens + Double(now &- bucket.filled) / 1_000_000_000 * rate < 1
    }

    /// Drops sources whose bucket is full again.
    private mutating func forgetIdle(_ now: MonotonicNanoseconds) {
        buckets = buckets.filter { $0.value.tokens + Double(now &- $0.value.filled) / 1_000_000_000 * rate < burst }
    }
}
