import Contracts
import Testing

@testable import Gateway

@Suite("Health checks of an agent")
struct HealthStateTests {
    private func changes(_ results: [Bool], rise: Int = 2, fall: Int = 1) -> [Bool?] {
        var state = HealthState()
        return results.map { state.note($0, rise: rise, fall: fall) ? state.isHealthy : nil }
    }

    @Test("tells changes only, after as many results in a row as were asked for, and believes the first one")
    func states() {
        #expect(changes([true, true, true]) == [nil, nil, nil])
        #expect(changes([false, false]) == [false, nil])
        #expect(changes([true, false, true, true, false]) == [nil, false, nil, true, false])
        #expect(changes([true, false, true, false, false, false], fall: 3) == [nil, nil, nil, nil, nil, false])
        #expect(changes([false, true, false, true, true, true], rise: 3) == [false, nil, nil, nil, nil, true])
        #expect(
            changes([false, false], fall: 3) == [false, nil],
            "a service that is down at the start is not offered"
        )
    }

    @Test("frames of many news stay within a control frame, and each is read back by the gateway's rule")
    func payloads() throws {
        var news: [HealthNews] = []
        for number in 0..<200 as Range<UInt8> {
            let isHealthy = number % 2 == 0
            let reason: String? = isHealthy ? nil : String(repeating: "x", count: 900)
            let contract = Digest.sha256([number])
            news.append(
                HealthNews(contract: contract, exposure: "exposure-\(number)", isHealthy: isHealthy, reason: reason)
            )
        }
        let payloads = HealthNews.payloads(news)
        #expect(payloads.allSatisfy { $0.count <= Frame.longestControl })
        let items = try payloads.flatMap { try #require(JSONValue(canonical: $0)["backends"]?.asArray) }
        #expect(items.map { $0["ok"]?.asBoolean } == news.map(\.isHealthy))
        #expect(HealthNews.payloads([]) == [])
    }
}
