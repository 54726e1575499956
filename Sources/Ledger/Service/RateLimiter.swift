internal import NIOConcurrencyHelpers
internal import NIOCore

/// A token bucket for each client address. Any thread.
///
/// IPv6 clients count by their /64, which is what one customer gets. The table is bounded: of a full table the address
/// that was silent for the longest time is forgotten, which gives it a full bucket again.
final class RateLimiter: Sendable {
    private struct Bucket {
        var tokens: Double
        var time: ContinuousClock.Instant
    }

    private let perSecond: Double
    private let burst: Double
    private let capacity: Int
    private let buckets = NIOLockedValueBox<[String: Bucket]>([:])

    init(perSecond: Double, burst: Double, capacity: Int) {
        self.perSecond = perSecond
        self.burst = burst
        self.capacity = capacity
    }

    /// Takes a token.
    ///
    /// - Returns: nil if there was one, else the seconds until there is one, at least 1.
    func take(_ key: String, now: ContinuousClock.Instant) -> Int? {
        buckets.withLockedValue { buckets in
            if buckets[key] == nil, buckets.count >= capacity { makeRoom(in: &buckets) }
            var bucket = buckets[key] ?? Bucket(tokens: burst, time: now)
            bucket.tokens = min(burst, bucket.tokens + perSecond * Self.seconds(now - bucket.time))
            bucket.time = now
            defer { buckets[key] = bucket }
            guard bucket.tokens >= 1 else { return max(1, Int(((1 - bucket.tokens) / perSecond).rounded(.up))) }
            bucket.tokens -= 1
            return nil
        }
    }

    /// Forgets an eighth of the table at once, so that a flood of addresses costs little per address.
    private func makeRoom(in buckets: inout [String: Bucket]) {
        let oldest = buckets.sorted { $0.value.time < $1.value.time }.prefix(max(1, capacity / 8))
        for (key, _) in oldest { buckets[key] = nil }
    }

    private static func seconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return max(0, Double(seconds) + Double(attoseconds) / 1e18)
    }

    /// What counts as one client.
    static func key(_ address: SocketAddress?) -> String {
        switch address {
        case .v4, .v6:
            guard let text = address?.ipAddress else { return "" }
            guard case .v6 = address else { return text }
            return prefix64(text)
        case .unixDomainSocket, nil:
            return "local"
        }
    }

    /// The first four groups of an IPv6 address; an address that holds an IPv4 one counts whole.
    private static func prefix64(_ text: String) -> String {
        if text.contains(".") { return text }
        let halves = text.split(separator: "%", maxSplits: 1)[0].components(separatedByDoubleColon: ())
        let left = halves[0].split(separator: ":")
        guard halves.count == 2 else { return left.prefix(4).joined(separator: ":") }
        let right = halves[1].split(separator: ":")
        let zeros = Array(repeating: Substring("0"), count: max(0, 8 - left.count - right.count))
        return (left + zeros + right).prefix(4).joined(separator: ":")
    }
}

extension Substring {
    /// The parts before and after `::`, or the whole.
    fileprivate func components(separatedByDoubleColon: Void) -> [Substring] {
        guard let range = firstRange(of: "::") else { return [self] }
        return [self[..<range.lowerBound], self[range.upperBound...]]
    }
}
