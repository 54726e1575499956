internal import CLinux

/// How busy a thread is, judged from the processor time that it used. Pure; both times are parameters.
struct BusyGauge: Sendable {
    /// Time between two judgements, at least.
    static let interval: UInt64 = 20_000_000
    /// Busy from this part of one processor on, ...
    static let busyPart: UInt64 = 10
    /// ... and until less than this part.
    static let idlePart: UInt64 = 20

    private(set) var isBusy = false
    private var judged: MonotonicNanoseconds
    private var used: UInt64

    /// `used` is the thread's processor time up to here, in nanoseconds.
    init(now: MonotonicNanoseconds, used: UInt64) {
        judged = now
        self.used = used
    }

    /// Whether it is time for a judgement.
    @inline(__always)
    func isDue(_ now: MonotonicNanoseconds) -> Bool { now >= judged &+ Self.interval }

    /// Judges the time since the last judgement; true when the thread became busy, or ceased to be.
    mutating func judge(_ now: MonotonicNanoseconds, used: UInt64) -> Bool {
        let passed = now &- judged
        let worked = used &- self.used
        (judged, self.used) = (now, used)
        let isBusy = worked >= passed / (self.isBusy ? Self.idlePart : Self.busyPart)
        defer { self.isBusy = isBusy }
        return isBusy != self.isBusy
    }
}

/// Runs a thread under `SCHED_BATCH` (sched(7)) while it is busy: it keeps its share of the processors, but waking up it does not
/// push aside whoever runs. Those, visitors' and workloads' programs on the same machine, then get further before the loop takes its turn, so a turn
/// carries more in one record and one write. While there is little to do it wakes up at once, as everybody.
///
/// A thread that was started under a policy other than `SCHED_OTHER` keeps it. Belongs to the thread that made it.
struct BatchPolicy {
    private var gauge: BusyGauge?

    /// Whether the thread used so much processor time of late that it runs under `SCHED_BATCH`.
    var isBusy: Bool { gauge?.isBusy ?? false }

    /// For the calling thread.
    init(now: MonotonicNanoseconds) {
        if webgw_policy() == Int32(WEBGW_SCHED_OTHER) { gauge = BusyGauge(now: now, used: webgw_thread_time()) }
    }

    /// To be called once a turn.
    @inline(__always)
    mutating func follow(_ now: MonotonicNanoseconds) {
        if gauge?.isDue(now) == true { judge(now) }
    }

    private mutating func judge(_ now: MonotonicNanoseconds) {
        guard gauge?.judge(now, used: webgw_thread_time()) == true, let isBusy = gauge?.isBusy else { return }
        let policy = isBusy ? WEBGW_SCHED_BATCH : WEBGW_SCHED_OTHER
        // A sandbox that forbids the call gets no second one.
        if webgw_set_policy(Int32(policy)) != 0 { gauge = nil }
    }
}
