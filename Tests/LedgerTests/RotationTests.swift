import Contracts
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("Change of ledger keys and witnesses")
struct RotationTests {
    private static let day: Timestamp = 86_400

    /// An entry of the ledger's root key, with what else has to sign.
    private static func decision(
        _ made: TestLedger.Made,
        _ body: EntryBody,
        seq: Int64,
        at now: Timestamp,
        cosigners: [SigningKey] = []
    ) throws -> Envelope {
        let root = try LedgerDirectory.readKey("\(made.directory)/root.key")
        return EntryDraft(
            body,
            ledger: made.ledgerID,
            account: made.ledgerID,
            signer: root.keyID,
            seq: seq,
            expires: now + day
        ).signed(by: [root] + cosigners)
    }

    private static func policySet(_ policy: WitnessPolicy) -> EntryBody {
        .policySet(PolicySetBody(auditorQuorum: 0, auditors: [], billing: [], policy: policy, version: 2))
    }

    @Test(
        "for 14 days checkpoints satisfy old and new keys and witnesses, also after a restart; then the new ones only"
    )
    func overlap() async throws {
        let bench = try WitnessBench(4)
        let (old, new) = (bench.policy(2, of: [0, 1, 2]), bench.policy(2, of: [2, 3]))
        let made = try TestLedger.Made(policy: old)
        bench.know(WitnessedLog(origin: TestLedger.origin, keys: [made.verifierKey]))
        let key = TestLog.key(41, 1)
        let verifierKey = VerifierKey(name: TestLedger.origin, type: VerifierKey.noteType, key: key.publicKey)
        func judges() -> [CheckpointJudge] {
            [made.verifierKey, verifierKey].flatMap { key in
                [old, new].map { CheckpointJudge(origin: TestLedger.origin, ledgerKeys: [key], policy: $0) }
            }
        }
        let all = judges()
        @Sendable func verdicts(_ ledger: TestLedger) async throws -> [Bool] {
            let note = try #require(try await ledger.client.checkpoint())
            return all.map { judge in
                if case .success = judge.judge(note: note, localNow: ledger.clock.now) { true } else { false }
            }
        }
        var limits = ServiceLimits()
        limits.witnessTime = .seconds(2)
        let quick = limits
        try await LyingServer.serving(bench.answering) { server in
            let roster = "\(made.directory)/witnesses"
            let lines = bench.roster(server).split(separator: "\n")
            try lines.prefix(3).joined(separator: "\n").write(toFile: roster, atomically: true, encoding: .utf8)
            try await made.serving(limits: quick) { ledger in
                let now = ledger.clock.now
                let keys = try Self.decision(
                    made,
                    .ledgerKeys(LedgerKeysBody(keys: [verifierKey], version: 2)),
                    seq: 1,
                    at: now,
                    cosigners: [key]
                )
                // Nobody could sign after it: the private key is not here.
                #expect(try await ledger.post(keys.leaf).status == 503)
                try LedgerDirectory.write(key, "\(made.directory)/ledger-2.key")
                #expect(try await ledger.post(keys.leaf).status == 201)
                #expect(try await verdicts(ledger) == [true, false, true, false])

                let policy = try Self.decision(made, Self.policySet(new), seq: 2, at: now)
                // Nobody could cosign after it: one of the two witnesses is unknown.
                #expect(try await ledger.post(policy.leaf).status == 503)
                try lines.joined(separator: "\n").write(toFile: roster, atomically: true, encoding: .utf8)
                #expect(try await ledger.post(policy.leaf).status == 201)
                #expect(try await verdicts(ledger) == [true, true, true, true])
                #expect(try await ledger.request("GET", "/keyset/2").body == policy.leaf)
                #expect(try await ledger.request("GET", "/keyset/3").status == 404)
            }
            bench.know(WitnessedLog(origin: TestLedger.origin, keys: [verifierKey]))
            var later = made
            later.laterKeys = [verifierKey]
            try await later.serving(limits: quick) { ledger in
                ledger.clock.now += 13 * Self.day
                bench.clock.now = ledger.clock.now
                try await ledger.awaitTick(at: ledger.clock.now)
                #expect(try await verdicts(ledger) == [true, true, true, true])
                ledger.clock.now += 2 * Self.day
                bench.clock.now = ledger.clock.now
                try await ledger.awaitTick(at: ledger.clock.now)
                let late = try await verdicts(ledger)
                #expect(late[0] == false && late[1] == false && late[3] == true)
            }
        }
    }
}

extension TestLedger {
    /// Waits until the published log has a tick of this time; entries of a twin show that it is published.
    fileprivate func awaitTick(at time: Timestamp) async throws {
        try await eventually(within: 20, "ledger time has reached \(time)") {
            let note = try #require(try await self.client.checkpoint())
            let size = try Checkpoint(parsing: note).size
            let width = Int(size % 256)
            let bundle = try await self.client.bundle(index: 0, width: width)
            var state = ContractState()
            for leaf in try #require(EntryBundle.decode(bundle)) { _ = state.fold(leaf) }
            return state.now == time
        }
    }
}
