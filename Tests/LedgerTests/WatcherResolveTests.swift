import Contracts
import Foundation
import Ledger
import Logging
import TestSupport
import Testing

@Suite("Lifting a halt")
struct WatcherResolveTests {
    private let logger = Logger(label: "test")

    /// A log and another history of it, from entry 3 on.
    private static func branches() -> (one: TestLog, other: TestLog) {
        var one = TestLog()
        one.grow(to: 3)
        var other = one
        one.grow(to: 6, from: 50)
        other.grow(to: 8, from: 70)
        return (one, other)
    }

    /// A watcher that trusted the first branch and then saw the second one.
    private func halted<Result: Sendable>(
        _ body: (WatcherHarness, WatcherConfiguration) async throws -> Result
    ) async throws -> Result {
        let (one, other) = Self.branches()
        return try await WatcherHarness.serving(one) { harness, server in
            let configuration = harness.configuration(server)
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.size == 6 })
                harness.log = other
                _ = try #require(await watcher.state { $0.condition != .normal })
            }
            return try await body(harness, configuration)
        }
    }

    private func code(_ body: () async throws -> HaltResolution) async -> String {
        do {
            return "\(try await body())"
        } catch {
            return (error as? LedgerRefusal)?.code ?? "\(error)"
        }
    }

    @Test("the trusted branch was the false one: the true one is verified from genesis and followed, evidence stays")
    func moved() async throws {
        let (_, other) = Self.branches()
        try await halted { harness, configuration in
            let resolution = try await HaltResolution.resolve(configuration, note: other.checkpoint(), logger: logger)
            guard case .moved(8, other.root(), let replaced) = resolution else {
                Issue.record("\(resolution)")
                return
            }
            #expect(FileManager.default.fileExists(atPath: "\(harness.directory)/\(replaced)"))
            let evidence = try #require(try harness.evidence().first)
            harness.change { $0.grow(to: 12) }
            try await harness.following(configuration) { watcher in
                let state = try #require(await watcher.state { $0.size == 12 })
                #expect(state.condition == .normal)
                #expect(state.root == harness.log.root())
                #expect(try await watcher.outcome(at: 7)?.code == .ok)
                // The evidence of a fork that was decided halts nobody again.
                #expect(try await watcher.receive(evidence: evidence.bytes) == .settled(evidence.digest))
                #expect(watcher.latest?.condition == .normal)
            }
            #expect(try harness.evidence().count == 1)
        }
    }

    @Test("a fork above the decided size halts again, also one of the false branch, until that is decided too")
    func above() async throws {
        var (one, other) = Self.branches()
        one.grow(to: 10, from: 50)
        try await halted { harness, configuration in
            _ = try await HaltResolution.resolve(configuration, note: other.checkpoint(), logger: logger)
            other.grow(to: 12)
            harness.log = other
            let evidence = ForkEvidence(
                a: try Checkpoint(parsing: one.checkpoint(10)),
                b: try Checkpoint(parsing: other.checkpoint(12)),
                prefixRoot: other.root(10),
                proof: other.consistency(from: 10, to: 12)
            )
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.size == 12 })
                #expect(try await watcher.receive(evidence: evidence.bytes) == .proven(evidence.digest))
                _ = try #require(await watcher.state { $0.condition != .normal })
            }
            let again = try await HaltResolution.resolve(configuration, note: other.checkpoint(), logger: logger)
            #expect(again == .kept(size: 12, root: other.root()))
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.condition == .normal })
                #expect(try await watcher.receive(evidence: evidence.bytes) == .settled(evidence.digest))
                #expect(watcher.latest?.condition == .normal)
            }
        }
    }

    @Test("the trusted branch was the true one: it goes on, and a source with the false one is only refused")
    func kept() async throws {
        let (one, other) = Self.branches()
        try await halted { harness, configuration in
            harness.log = one
            let resolution = try await HaltResolution.resolve(configuration, note: one.checkpoint(), logger: logger)
            #expect(resolution == .kept(size: 6, root: one.root()))
            harness.change { $0.grow(to: 9) }
            try await harness.following(configuration) { watcher in
                _ = try #require(await watcher.state { $0.size == 9 })
                harness.tell { request, _ in
                    request.path == "/checkpoint" ? .respond(200, body: other.checkpoint(5)) : nil
                }
                _ = try #require(await harness.refusal("checkpoint.fork"))
                #expect(watcher.latest?.condition == .normal)
            }
        }
    }

    @Test("a larger checkpoint of the trusted branch lifts the halt and is reached at once")
    func extended() async throws {
        var (one, _) = Self.branches()
        try await halted { harness, configuration in
            one.grow(to: 11)
            harness.log = one
            let resolution = try await HaltResolution.resolve(configuration, note: one.checkpoint(), logger: logger)
            #expect(resolution == .kept(size: 11, root: one.root()))
        }
    }

    @Test("refuses what decides nothing or is not valid, and stays halted")
    func refusals() async throws {
        let (one, other) = Self.branches()
        try await halted { harness, configuration in
            let notes: [(code: String, note: [UInt8])] = [
                ("note.malformed", Array("true\n".utf8)),
                ("resolve.undecided", other.checkpoint(3)),
                ("checkpoint.quorum", other.checkpoint(isCosigned: false)),
                ("checkpoint.quorum", one.checkpoint(isCosigned: false)),
                ("checkpoint.signature", other.checkpoint(by: TestLog.key(9, 9))),
                ("checkpoint.origin", other.checkpoint(origin: "log.example/two")),
                ("entries.mismatch", other.checkpoint(root: .sha256([5]))),
            ]
            for (expected, note) in notes {
                let found = await code { try await HaltResolution.resolve(configuration, note: note, logger: logger) }
                #expect(found == expected)
            }
            try await harness.following(configuration) { watcher in
                let state = try #require(await watcher.state { _ in true })
                guard case .halted(.checkpointFork, _) = state.condition else {
                    Issue.record("not halted: \(state.condition)")
                    return
                }
                #expect(state.root == one.root())
                let found = await code { try await HaltResolution.resolve(configuration, note: [], logger: logger) }
                #expect(found == "trust.busy")
            }
        }
    }

    @Test("refuses a node that is not halted")
    func notHalted() async throws {
        var log = TestLog()
        log.grow(to: 2)
        try await WatcherHarness.serving(log) { harness, server in
            let configuration = harness.configuration(server)
            let found = await code {
                try await HaltResolution.resolve(configuration, note: log.checkpoint(), logger: logger)
            }
            #expect(found == "resolve.not_halted")
        }
    }
}
