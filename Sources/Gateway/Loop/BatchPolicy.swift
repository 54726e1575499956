internal import CLinux

/// How much of a processor a thread uses. Pure; both times are parameters.
struct LoadGauge: Sendable {
    /// Time between two readings, at least.
    static let interval: UInt64 = 20_000_000

    private var read: MonotonicNanoseconds
    private var used: UInt64

    /// `used` is the thread's processor time up to here, in nanoseconds.
    init(now: MonotonicNanoseconds, used: UInt64) {
        read = now
        self.used = used
    }

    /// Whether it is time for a reading.
    @inline(__always)
    func isDue(_ now: MonotonicNanoseconds) -> Bool { now >= read &+ Self.interval }

    /// Thousandths of a processor since the last reading.
    mutating func read(_ now: MonotonicNanoseconds, used: UInt64) -> Int {
        let passed = max(1, now &- read)
        let worked = used &- self.used
        (read, self.used) = (now, used)
        return Int(min(worked, passed) * 1000 / passed)
    }
}

/// Runs a thread under `SCHED_BATCH` (sched(7)) while it is busy: it keeps its share of the processors, but waking up it does not
/// push aside whoever runs. Those, visitors' and workloads' programs on the same machine, then get further before the loop takes its turn, so a turn
/// carries more in one record and one write. While there is little to do it wakes up at once, as everybody.
///
/// A thread that was started under a policy other than `SCHED_OTHER` keeps it. Belongs to the thread that made it.
struct BatchPolicy {
    /// Busy from this many thousandths of a processor on, ...
    static let busy = 300
    /// ... and until less than this.
    static let idle = 150

    /// Whether the thread uses so much processor time that it runs, or should run, under `SCHED_BATCH`.
    private(set) var isBusy = false
    private var isOurs: Bool

    /// For the calling thread.
    init() { isOurs = webgw_policy() == Int32(WEBGW_SCHED_OTHER) }

    /// Follows a load in thousandths of a processor.
    mutating func follow(_ load: Int) {
        let isBusy = load >= (self.isBusy ? Self.idle : Self.busy)
        guard isBusy != self.isBusy else { return }
        self.isBusy = isBusy
        // A sandbox that forbids the call gets no second one.
        if isOurs { isOurs = webgw_set_policy(Int32(isBusy ? WEBGW_SCHED_BATCH : WEBGW_SCHED_OTHER)) == 0 }
    }
}
