import Contracts
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("A ledger with witnesses")
struct WitnessQuorumTests {
    /// A ledger whose three witnesses, two of which make a quorum, are those of the bench.
    private func serving(
        limits: ServiceLimits = quick(),
        _ body: @escaping @Sendable (TestLedger, WitnessBench) async throws -> Void
    ) async throws {
        let bench = try WitnessBench(3)
        let made = try TestLedger.Made(policy: bench.policy(2, of: [0, 1, 2]))
        bench.know(WitnessedLog(origin: TestLedger.origin, keys: [made.verifierKey]))
        try await LyingServer.serving(bench.answering) { server in
            try bench.roster(server).write(
                toFile: "\(made.directory)/witnesses",
                atomically: true,
                encoding: .utf8
            )
            try await made.serving(limits: limits) { try await body($0, bench) }
        }
    }

    private static func quick() -> ServiceLimits {
        var limits = ServiceLimits()
        limits.witnessTime = .milliseconds(500)
        limits.submissionWait = .seconds(10)
        return limits
    }

    private func judged(_ ledger: TestLedger, _ bench: WitnessBench) async throws -> JudgedCheckpoint {
        let judge = CheckpointJudge(
            origin: TestLedger.origin,
            ledgerKeys: [ledger.verifierKey],
            policy: bench.policy(2, of: [0, 1, 2])
        )
        return try judge.judge(note: #require(try await ledger.client.checkpoint()), localNow: ledger.clock.now).get()
    }

    @Test(
        "publishes with a quorum, whatever the one other witness does",
        arguments: WitnessBench.Behaviour.allCases
    )
    func oneBadWitness(_ behaviour: WitnessBench.Behaviour) async throws {
        try await serving { ledger, bench in
            try await eventually("the genesis is published") { (try? await ledger.client.checkpoint()) != nil }
            bench.set(0, behaviour)
            for number in 0..<3 {
                let twin = try TestTwin(ledger.ledgerID, seed: UInt8(number))
                let answer = try await ledger.client.submit(twin.creation)
                guard case .included = answer else {
                    Issue.record("answered \(answer)")
                    return
                }
            }
            let judged = try await judged(ledger, bench)
            #expect(judged.checkpoint.size == 4)
            #expect(judged.quorumTime == TestLedger.start)
        }
    }

    @Test("without a quorum answers 202, later 503, publishes nothing, and goes on by itself")
    func noQuorum() async throws {
        var limits = Self.quick()
        limits.submissionWait = .milliseconds(300)
        limits.quorumPatience = .seconds(2)
        try await serving(limits: limits) { ledger, bench in
            try await eventually("the genesis is published") { (try? await ledger.client.checkpoint()) != nil }
            bench.set(0, .gone)
            bench.set(1, .silent)
            let first = try TestTwin(ledger.ledgerID, seed: 1)
            let taken = try await ledger.post(first.creation.leaf)
            #expect(taken.status == 202)
            #expect(taken.headers["location"] == "/tx/\(first.id.hex)")
            try await eventually(within: 20, "new entries are refused") {
                let twin = try TestTwin(ledger.ledgerID)
                let reply = try await ledger.post(twin.creation.leaf)
                return reply.status == 503 && reply.headers["retry-after"] != nil
            }
            #expect(try await judged(ledger, bench).checkpoint.size == 1)
            bench.set(1, .honest)
            try await eventually(within: 20, "the entry is published") {
                try await ledger.client.transaction(first.id).state == .included
            }
            try await ledger.log(TestTwin(ledger.ledgerID).creation)
        }
    }

    @Test("an idle ledger has its checkpoint cosigned anew")
    func renewal() async throws {
        var limits = Self.quick()
        limits.renewal = .milliseconds(100)
        try await serving(limits: limits) { ledger, bench in
            try await eventually("the genesis is published") { (try? await ledger.client.checkpoint()) != nil }
            bench.clock.now += 100
            try await eventually(within: 20, "the quorum time moves on") {
                let judged = try await judged(ledger, bench)
                return judged.quorumTime == TestLedger.start + 100 && judged.checkpoint.size == 1
            }
        }
    }

    @Test("serves the key chain, its first entry before anything is published")
    func keyChain() async throws {
        try await serving { ledger, bench in
            let genesis = try await ledger.request("GET", "/keyset/0")
            #expect(genesis.status == 200)
            #expect(genesis.headers["cache-control"] == "public, max-age=31536000, immutable")
            #expect(try Envelope(leaf: genesis.body).id == ledger.ledgerID)
            #expect(try await ledger.request("GET", "/keyset/1").status == 404)
            #expect(try await ledger.request("GET", "/keyset/x").status == 404)
        }
        let bench = try WitnessBench(3)
        let made = try TestLedger.Made(policy: bench.policy(2, of: [0, 1, 2]))
        for number in 0..<3 { bench.set(number, .gone) }
        try await LyingServer.serving(bench.answering) { server in
            try bench.roster(server).write(toFile: "\(made.directory)/witnesses", atomically: true, encoding: .utf8)
            let answers = try await made.serving { ledger in
                let genesis = try await ledger.request("GET", "/keyset/0").status
                return [genesis, try await ledger.request("GET", "/checkpoint").status]
            }
            #expect(answers == [200, 503])
        }
    }
}
