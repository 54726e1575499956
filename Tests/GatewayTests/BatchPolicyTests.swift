import Glibc
import Testing

@testable import Gateway

@Suite("Batch policy of busy loops")
struct BatchPolicyTests {
    private static let batch: Int32 = 3

    @Test("a thread is busy from three tenths of a processor on, and until it uses less than half of that")
    func hysteresis() {
        var policy = BatchPolicy()
        for (load, isBusy) in [
            (299, false), (300, true), (150, true), (149, false), (299, false), (1000, true), (0, false),
        ] {
            policy.follow(load)
            #expect(policy.isBusy == isBusy, "at \(load)")
        }
    }

    @Test("a load is read in thousandths of the time that passed, once the interval is over")
    func gauge() {
        var gauge = LoadGauge(now: 5, used: 100)
        #expect(!gauge.isDue(4 + LoadGauge.interval))
        #expect(gauge.isDue(5 + LoadGauge.interval))
        #expect(gauge.read(1_000_000_005, used: 250_000_100) == 250)
        #expect(!gauge.isDue(1_000_000_004 + LoadGauge.interval))
        #expect(gauge.read(3_000_000_005, used: 250_000_100) == 0)
        #expect(gauge.read(3_000_000_006, used: 950_000_100) == 1000)
        #expect(gauge.read(3_000_000_006, used: 950_000_100) == 0)
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
