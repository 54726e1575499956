/// Refused visitors by reason; each loop counts its own, and a status adds them up.
struct RefusalCounts: Sendable {
    private(set) var counts: [VisitorRefusal: Int64] = [:]

    mutating func count(_ refusal: VisitorRefusal, times: Int64 = 1) {
        if times > 0 { counts[refusal, default: 0] += times }
    }

    mutating func add(_ other: RefusalCounts) {
        counts.merge(other.counts) { $0 + $1 }
    }
}
