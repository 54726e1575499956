internal import Contracts

/// What tells the workloads of a route apart, and stays the same as long as one does.
protocol BalancedKey: Hashable {
    var bytes: [UInt8] { get }
}

extension PublicKey: BalancedKey {}

/// Picks an agent for a new stream of one route.
typealias Balancer = WeightedBalancer<PublicKey>

/// Picks a workload for a new stream of one route, by weight, among those that are there.
struct WeightedBalancer<Key: BalancedKey> {
    private var current: [Key: Int64] = [:]

    /// The place in `candidates` of the agent that takes the next stream; nil when there is none.
    ///
    /// - Parameters:
    ///   - candidates: connected agents with their weight and the streams they serve now.
    ///   - visitor: for client-ip, what stays the same for one visitor.
    mutating func pick(
        _ candidates: [(key: Key, weight: Int64, streams: Int)],
        _ balance: Balance,
        visitor: IPAddress?
    ) -> Int? {
        guard candidates.count > 1 else { return candidates.isEmpty ? nil : 0 }
        switch balance {
        case .roundRobin: return smooth(candidates)
        case .leastConnections:
            // Least streams per weight, compared without division.
            return candidates.indices.min {
                let (a, b) = (candidates[$0], candidates[$1])
                return Int64(a.streams + 1) * b.weight < Int64(b.streams + 1) * a.weight
            }
        case .clientIP:
            return candidates.indices.max { Self.score(candidates[$0], visitor) < Self.score(candidates[$1], visitor) }
        }
    }

    /// Smooth weighted round-robin: the heaviest agent does not get its share in one row.
    private mutating func smooth(_ candidates: [(key: Key, weight: Int64, streams: Int)]) -> Int {
        var total: Int64 = 0
        var best = 0
        var bestValue = Int64.min
        for (place, candidate) in candidates.enumerated() {
            let value = current[candidate.key, default: 0] + candidate.weight
            current[candidate.key] = value
            total += candidate.weight
            if value > bestValue { (best, bestValue) = (place, value) }
        }
        current[candidates[best].key] = bestValue - total
        return best
    }

    /// Weighted rendezvous hashing: when an agent goes, only its own visitors move.
    private static func score(_ candidate: (key: Key, weight: Int64, streams: Int), _ visitor: IPAddress?)
        -> Double
    {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ word: UInt64) {
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
        }
        switch visitor {
        case .v4(let address)?: mix(UInt64(address))
        case .v6(let high, _)?:
            // A visitor's network prefix: privacy addresses change the rest.
            mix(high)

        case nil: mix(0)
        }
        for byte in candidate.key.bytes { mix(UInt64(byte)) }
        let uniform = (Double(hash >> 11) + 1) / Double(UInt64(1) << 53)
        // Monotone in -1/ln(uniform) without a logarithm would lose the weights; a power does the same order.
        return power(uniform, candidate.weight)
    }

    /// `base` to the power 1 / weight, by bisection: ordering is all that counts.
    private static func power(_ base: Double, _ weight: Int64) -> Double {
        var low = 0.0
        var high = 1.0
        for _ in 0..<52 {
            let middle = (low + high) / 2
            var value = 1.0
            var factor = middle
            var exponent = weight
            while exponent > 0 {
                if exponent & 1 == 1 { value *= factor }
                factor *= factor
                exponent >>= 1
            }
            if value < base { low = middle } else { high = middle }
        }
        return low
    }
}
