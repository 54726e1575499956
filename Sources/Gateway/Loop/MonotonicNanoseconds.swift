internal import Glibc

/// Nanoseconds of the monotonic clock; comparable only within this boot of the machine.
typealias MonotonicNanoseconds = UInt64

/// Reads the monotonic clock; a loop does so once a turn (`Loop.now`).
func monotonicNow() -> MonotonicNanoseconds {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

extension Duration {
    /// The duration in nanoseconds, clamped to what a monotonic clock can hold.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 0 }
        guard seconds < 4_000_000_000 else { return 4_000_000_000_000_000_000 }
        return UInt64(seconds) * 1_000_000_000 + UInt64(max(0, attoseconds / 1_000_000_000))
    }
}
