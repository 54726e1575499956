internal import Glibc

/// Seconds since 1970 that never run backwards: the system's clock, or the time that has passed since the first reading if the
/// system's clock was set back. So no change of the clock extends a contract.
struct WallClock {
    private let start: Int64
    private let startMonotonic: MonotonicNanoseconds

    init() {
        start = Self.system()
        startMonotonic = monotonicNow()
    }

    /// The time at a reading of the monotonic clock.
    func seconds(at now: MonotonicNanoseconds) -> Int64 {
        max(Self.system(), start + Int64((now &- startMonotonic) / 1_000_000_000))
    }

    private static func system() -> Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }
}
