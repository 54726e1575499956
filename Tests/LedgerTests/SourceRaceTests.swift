import NIOConcurrencyHelpers
import Testing

@testable import Ledger

@Suite("Asking sources one after the other")
struct SourceRaceTests {
    private let sources = (0..<3).map { LedgerClient.Source(index: $0, url: "http://\($0).example", role: .mirror) }
    private let asked = NIOLockedValueBox<[Int]>([])

    private func refusal(_ kind: LedgerRefusal.Kind, _ code: String) -> LedgerRefusal {
        LedgerRefusal(kind, code: code, source: "", message: code)
    }

    private func race(
        patience: Duration = .seconds(60),
        _ attempt: @escaping @Sendable (Int, SourceRace.Progress) async throws -> String
    ) async throws -> SourceRace.Outcome<String> {
        try await SourceRace(patience: patience, clock: ContinuousClock()).first(of: sources) { source, progress in
            asked.withLockedValue { $0.append(source.index) }
            return try await attempt(source.index, progress)
        }
    }

    @Test("one that answers is the only one that is asked")
    func first() async throws {
        guard case .value("0", sources[0]) = try await race({ index, _ in "\(index)" }) else {
            Issue.record("not 0")
            return
        }
        #expect(asked.withLockedValue { $0 } == [0])
    }

    @Test("the next is asked at once when one fails, and all refusals are told in the order of the sources")
    func failures() async throws {
        let outcome = try await race { index, _ in
            guard index == 2 else { throw refusal(index == 0 ? .refused : .unreachable, "\(index)") }
            return "good"
        }
        guard case .value("good", sources[2]) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        guard case .nothing(let all) = try await race({ index, _ in throw refusal(.unreachable, "\(index)") }) else {
            Issue.record("somebody gave something")
            return
        }
        #expect(all.map(\.source.index) == [0, 1, 2] && all.map(\.refusal.code) == ["0", "1", "2"])
    }

    @Test("one that does not get on is joined by the next, and one that does is not")
    func stalls() async throws {
        let stalled = try await race(patience: .milliseconds(5)) { index, _ in
            if index == 0 { try await Task.sleep(for: .seconds(600)) }
            return "\(index)"
        }
        guard case .value("1", sources[1]) = stalled else {
            Issue.record("\(stalled)")
            return
        }
        asked.withLockedValue { $0 = [] }
        let busy = try await race(patience: .seconds(1)) { index, progress in
            for _ in 0..<20 {
                try await Task.sleep(for: .milliseconds(100))
                progress.step()
            }
            return "\(index)"
        }
        guard case .value("0", sources[0]) = busy else {
            Issue.record("\(busy)")
            return
        }
        #expect(asked.withLockedValue { $0 } == [0])
    }

    @Test("an error that no other source can mend ends the race")
    func fatal() async throws {
        await #expect(throws: LedgerRefusal.self) { try await race { _, _ in throw refusal(.local, "trust.io") } }
        #expect(asked.withLockedValue { $0 } == [0])
    }
}
