import Contracts
import Testing

@testable import Gateway

@Suite("A rate that loops share")
struct SharedRateTests {
    private let second: MonotonicNanoseconds = 1_000_000_000

    @Test("gives no more than its depth and what time brings", arguments: [8_000, 1_000_000, 100_000_000] as [Int64])
    func bound(_ bits: Int64) {
        let rate = SharedRate()
        rate.bitsPerSecond = bits
        let depth = max(Int(bits / 8 / 4), SharedRate.smallestDepth)
        var now = 1000 * second
        var drawn = 0
        for _ in 0..<400 {
            drawn += rate.draw(1 << 20, waiting: 1, at: now)
            now += second / 40
        }
        let most = depth + Int(bits / 8) * 10
        #expect(drawn <= most && drawn > most - depth - Int(bits / 8) / 10, "\(drawn) of \(most)")
    }

    @Test("is dealt out by how many streams of each loop wait")
    func share() {
        let rate = SharedRate()
        rate.bitsPerSecond = 80_000_000
        var now = 1000 * second
        _ = rate.draw(.max >> 1, waiting: 0, at: now)
        rate.wait(4)
        now += second / 10
        let one = rate.draw(.max >> 1, waiting: 1, at: now)
        #expect(abs(one - 250_000) < 10)
        rate.wait(-4)
        #expect(abs(rate.draw(.max >> 1, waiting: 0, at: now) - 750_000) < 10)
        #expect(rate.draw(.max >> 1, waiting: 0, at: now) == 0)
    }

    @Test("does not make up for a pause by more than its depth")
    func pause() {
        let rate = SharedRate()
        rate.bitsPerSecond = 8_000_000
        _ = rate.draw(.max >> 1, waiting: 0, at: 1000 * second)
        #expect(rate.draw(.max >> 1, waiting: 0, at: 5000 * second) == 250_000)
    }
}

@Suite("The meter of a contract")
struct SharedUsageTests {
    @Test("begins where it was, adds up, and begins a period anew at the contract's own times")
    func periods() {
        let before = UsageTotals(bytesIn: 10, bytesOut: 20, conns: 3)
        let usage = SharedUsage(before, PeriodUse(number: 2, bytes: 30))
        usage.set(limit: .init(bytes: 100, period: 3600, start: 500))
        let inThird: Timestamp = 500 + 2 * 3600
        #expect(!usage.add(UsageTotals(bytesIn: 60, bytesOut: 9, conns: 1), at: inThird))
        #expect(usage.status(at: inThird)?.used == 99)
        #expect(usage.status(at: inThird)?.isNear == true)
        #expect(usage.add(UsageTotals(bytesIn: 1), at: inThird + 3599))
        #expect(usage.status(at: inThird)?.isUsedUp == true)
        let end: Timestamp = 11_300
        #expect(usage.status(at: inThird)?.ends == end)
        #expect(!usage.add(UsageTotals(), at: inThird + 3600))
        #expect(usage.period == PeriodUse(number: 3, bytes: 0))
        #expect(usage.totals == UsageTotals(bytesIn: 71, bytesOut: 29, conns: 4))
        usage.set(limit: nil)
        #expect(!usage.add(UsageTotals(bytesOut: 1_000_000), at: inThird + 3600))
    }
}
