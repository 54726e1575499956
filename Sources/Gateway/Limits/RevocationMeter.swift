/// How long streams ran on after the table, the clock or their contract's allowance ended their permit. Loop-owned.
final class RevocationMeter {
    private let loop: Loop
    private(set) var figures = RevocationFigures()

    init(loop: Loop) { self.loop = loop }

    /// A stream ended whose permit was over.
    ///
    /// - Parameters:
    ///   - due: when it had to be cut at the latest.
    ///   - drain: seconds that its contract gave it.
    func ended(due: MonotonicNanoseconds, drain: Int64) {
        let refused = due &- UInt64(max(0, drain)) * 1_000_000_000
        figures.streams += 1
        figures.worst = max(figures.worst, loop.now > refused ? loop.now - refused : 0)
        figures.worstLate = max(figures.worstLate, loop.now > due ? loop.now - due : 0)
    }
}

/// Streams that ended because their permit did.
struct RevocationFigures: Sendable {
    var streams: Int64 = 0
    /// Longest time from the end of the permit to the end of the stream, in nanoseconds.
    var worst: UInt64 = 0
    /// Longest time by which a stream outlived its contract's drain, in nanoseconds.
    var worstLate: UInt64 = 0

    mutating func add(_ other: RevocationFigures) {
        streams += other.streams
        worst = max(worst, other.worst)
        worstLate = max(worstLate, other.worstLate)
    }
}
