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
    private var lastGrant: MonotonicNanoseconds = 0

    /// On a path without measurable delay a window is large enough when half of it lasts this long.
    static let shortestRound: UInt64 = 1_000_000

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

    /// True when `take` with this many bytes will grant: half a window is free.
    @inline(__always)
    func isDue(after count: Int) -> Bool { Int(untold) + count >= Int(size) / 2 }

    /// The local side took bytes. Returns the grant to send, 0 for none yet. `growth` is asked with the bytes by which the
    /// window would grow and says whether the budgets allow it; `roundTrip` in nanoseconds.
    mutating func take(
        _ count: Int,
        now: MonotonicNanoseconds,
        roundTrip: UInt64,
        growth: (Int) -> Bool
    ) -> UInt32 {
        untold += Int32(count)
        guard untold >= size / 2 else { return 0 }
        var grant = untold
        // On a long path the whole window may come in one read, a round trip after the one before: what counts is the time of half
        // a window, not that between two grants.
        let timeOfHalf = Double(now &- lastGrant) * Double(size / 2) / Double(untold)
        let isFast = lastGrant != 0 && timeOfHalf < Double(max(roundTrip, Self.shortestRound))
        if isFast, Int(size) < Frame.largestWindow {
            let more = min(size, Int32(Frame.largestWindow) - size)
            if growth(Int(more)) {
                size += more
                grant += more
            }
        }
        lastGrant = now
        untold = 0
        outstanding += grant
        return UInt32(grant)
    }
}
