/// What a peer may still send on one stream, and when to grant more. Pure; time is a parameter.
///
/// Bytes count as taken when the local side accepted them. The window doubles when half of it was used up faster than a
/// round trip, because then the window, not the path or the reader, limited the sender.
struct ReceiveWindow: Sendable {
    /// Bytes the peer may still send.
    private(set) var outstanding: Int32
    /// Bytes taken but not granted again yet.
    private(set) var untold: Int32 = 0
    /// The window's size now.
    private(set) var size: Int32
    /// Bytes taken since `since`.
    private var judged: Int32 = 0
    /// When it was last decided whether the window grows.
    private var since: MonotonicNanoseconds = 0

    /// On a path without measurable delay a window is large enough when half of it lasts this long.
    static let shortestRound: UInt64 = 1_000_000
    /// Bytes that are never left untold. What is untold cannot be under way: with half of a window untold, half of it is all that a
    /// long path ever carries.
    static let mostUntold: Int32 = 2 << 20

    init(size: Int = Frame.initialWindow) {
        outstanding = Int32(clamping: size)
        self.size = Int32(clamping: size)
    }

    /// The peer sent bytes; false when it had no window for them.
    @inline(__always)
    mutating func receive(_ count: Int) -> Bool {
        guard count <= Int(outstanding) else { return false }
        outstanding -= Int32(count)
        return true
    }

    /// Bytes at which there is something to grant.
    private var dose: Int32 { min(size / 2, Self.mostUntold) }

    /// True when `take` with this many bytes will grant.
    @inline(__always)
    func isDue(after count: Int) -> Bool { Int(untold) + count >= Int(dose) }

    /// The local side took bytes. Returns the grant to send, 0 for none yet. `growth` is asked with the bytes by which the
    /// window would grow and says whether the budgets allow it; `roundTrip` in nanoseconds.
    mutating func take(
        _ count: Int,
        now: MonotonicNanoseconds,
        roundTrip: UInt64,
        growth: (Int) -> Bool
    ) -> UInt32 {
        untold += Int32(count)
        judged += Int32(count)
        guard untold >= dose else { return 0 }
        let grant = untold + grow(now, roundTrip, growth)
        untold = 0
        outstanding += grant
        return UInt32(grant)
    }

    /// Judges the last half of a window; the bytes by which the window grew.
    private mutating func grow(_ now: MonotonicNanoseconds, _ roundTrip: UInt64, _ growth: (Int) -> Bool) -> Int32 {
        guard judged >= size / 2 else { return 0 }
        // On a long path the whole window may come in one read, a round trip after the one before: what counts is the time of half
        // a window, not that between two grants.
        let timeOfHalf = Double(now &- since) * Double(size / 2) / Double(judged)
        let isFast = since != 0 && timeOfHalf < Double(max(roundTrip, Self.shortestRound))
        since = now
        judged = 0
        let more = min(size, Int32(Frame.largestWindow) - size)
        guard isFast, more > 0, growth(Int(more)) else { return 0 }
        size += more
        return more
    }
}
