import Glibc
import Testing

@testable import Gateway

@Suite("Batch policy of busy loops")
struct BatchPolicyTests {
    private static let second: UInt64 = 1_000_000_000
    private static let batch: Int32 = 3

    @Test("a thread is busy from a tenth of a processor on, and until it uses less than a twentieth")
    func gauge() {
        var gauge = BusyGauge(now: 0, used: 0)
        var (now, used): (UInt64, UInt64) = (0, 0)
        func passes(_ part: Double) -> Bool {
            now += Self.second
            used += UInt64(part * Double(Self.second))
            return gauge.judge(now, used: used)
        }
        #expect(!passes(0.09) && !gauge.isBusy)
        #expect(passes(0.11) && gauge.isBusy)
        #expect(!passes(0.06) && gauge.isBusy)
        #expect(passes(0.04) && !gauge.isBusy)
        #expect(!passes(0.06) && !gauge.isBusy)
    }

    @Test("a judgement is due after its interval, not before")
    func due() {
        var gauge = BusyGauge(now: 5, used: 0)
        #expect(!gauge.isDue(4 + BusyGauge.interval))
        #expect(gauge.isDue(5 + BusyGauge.interval))
        _ = gauge.judge(7 + BusyGauge.interval, used: 0)
        #expect(!gauge.isDue(6 + 2 * BusyGauge.interval))
    }

    @Test("a loop runs under SCHED_BATCH while it works, and under SCHED_OTHER again when it mostly waits")
    func loop() async throws {
        let loop = try Loop()
        loop.start()
        #expect(await loop.run { sched_getscheduler(0) } == SCHED_OTHER)
        let worked = await eventually {
            await loop.run { () -> Int32 in
                let start = monotonicNow()
                while monotonicNow() < start + 10_000_000 {}
                return sched_getscheduler(0)
            } == Self.batch
        }
        #expect(worked)
        #expect(await eventually { await loop.run { sched_getscheduler(0) } == SCHED_OTHER })
        await loop.stop()
    }
}
