internal import Synchronization

/// A rate in bits per second that all loops draw on: a bucket that fills with time, kept as the moment until which it is paid
/// for (GCRA). No lock; a loop draws a portion at a time, so the hot path of a stream does not come here.
final class SharedRate: Sendable {
    /// What may be drawn at once after a pause: a quarter of a second's worth, at least 64 KiB.
    static let depth: UInt64 = 250_000_000
    static let smallestDepth = 64 << 10
    /// From this rate on nothing is counted: no machine carries it.
    static let unlimited: Int64 = 1_000_000_000_000

    private let bits = Atomic<Int64>(unlimited)
    private let paidUntil = Atomic<UInt64>(0)
    /// Streams of all loops that wait for the rate.
    private let waiting = Atomic<Int64>(0)

    /// Bits per second, of a contract and offer combined.
    var bitsPerSecond: Int64 {
        get { bits.load(ordering: .relaxed) }
        set { bits.store(max(1, newValue), ordering: .relaxed) }
    }

    var isUnlimited: Bool { bitsPerSecond >= Self.unlimited }

    /// Streams of one loop began or ended to wait.
    func wait(_ count: Int) { waiting.wrappingAdd(Int64(count), ordering: .relaxed) }

    /// Draws at most `want` bytes of what has become free. A loop whose streams wait gets the part of it that they are of all
    /// that wait.
    ///
    /// - Parameter mine: streams of the asking loop that wait; 0 takes all that is free.
    func draw(_ want: Int, waiting mine: Int, at now: MonotonicNanoseconds) -> Int {
        let bytesPerNanosecond = Double(bitsPerSecond) / 8_000_000_000
        let depth = max(Self.depth, UInt64(Double(Self.smallestDepth) / bytesPerNanosecond))
        var seen = paidUntil.load(ordering: .relaxed)
        while true {
            let start = max(seen, now > depth ? now - depth : 0)
            guard start < now else { return 0 }
            var free = Double(now - start) * bytesPerNanosecond
            let all = waiting.load(ordering: .relaxed)
            if mine > 0, all > Int64(mine) { free *= Double(mine) / Double(all) }
            let granted = min(Double(want), free.rounded(.down))
            guard granted >= 1 else { return 0 }
            let (exchanged, original) = paidUntil.compareExchange(
                expected: seen,
                desired: start + UInt64(granted / bytesPerNanosecond),
                ordering: .relaxed
            )
            if exchanged { return Int(granted) }
            seen = original
        }
    }
}
