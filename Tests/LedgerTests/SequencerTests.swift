import Contracts
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("Sequencer")
struct SequencerTests {
    @Test("logs an entry and answers with a receipt that verifies, well within 300 ms")
    func logsOne() async throws {
        try await TestLedger.serving { ledger in
            #expect(try await ledger.checkpoint().size == 1)
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            // The fastest of a few: other tests run on the same cores.
            var times: [Duration] = []
            for number in 0..<8 {
                let start = ContinuousClock.now
                let index = try await ledger.log(twin.next("name.create", ["name": .string("name-\(number)")]))
                times.append(ContinuousClock.now - start)
                #expect(index == UInt64(number) + 2)
            }
            #expect(try #require(times.min()) < .milliseconds(300))
            #expect(try await ledger.checkpoint().size == 10)
        }
    }

    @Test("logs what many submit at once, each once and each with its own receipt")
    func logsMany() async throws {
        try await TestLedger.serving { ledger in
            let twins = try (0..<300).map { _ in try TestTwin(ledger.ledgerID) }
            let indices = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for twin in twins { group.addTask { try await ledger.log(twin.creation) } }
                return try await group.reduce(into: Set<UInt64>()) { $0.insert($1) }
            }
            #expect(indices == Set(1...300))
            #expect(try await ledger.checkpoint().size == 301)
        }
    }

    @Test("logs the same entry once, however often and however simultaneously it is submitted")
    func logsOnce() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            let replies = try await withThrowingTaskGroup(of: RawHTTP.Reply.self) { group in
                for _ in 0..<20 { group.addTask { try await ledger.post(twin.creation.leaf) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(replies.filter { $0.status == 201 }.count == 1)
            #expect(replies.filter { $0.status == 200 }.count == 19)
            #expect(Set(replies.map(\.body)).count == 1)
            // The receipt stays the same when the log has grown.
            try await ledger.log(twin.next("name.create", ["name": "later"]))
            let again = try await ledger.post(twin.creation.leaf)
            #expect(again.status == 200)
            #expect(again.body == replies[0].body)
            #expect(try await ledger.checkpoint().size == 3)
        }
    }

    @Test("never logs what the fold refuses, and says which sequence number it expects")
    func refuses() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            try await ledger.log(twin.entry("name.create", ["name": "first"], seq: 1))
            let gap = try await ledger.client.submit(twin.entry("name.create", ["name": "second"], seq: 5))
            guard case .refused("seq.gap", _, 2) = gap else {
                Issue.record("the answer is \(gap)")
                return
            }
            let replay = try await ledger.client.submit(twin.entry("name.create", ["name": "third"], seq: 1))
            guard case .refused("seq.replay", _, 2) = replay else {
                Issue.record("the answer is \(replay)")
                return
            }
            // A rule of the type: refused before it is logged, so the sequence number is still free.
            let taken = try await ledger.client.submit(twin.entry("name.create", ["name": "first"], seq: 2))
            guard case .refused("name.taken", _, nil) = taken else {
                Issue.record("the answer is \(taken)")
                return
            }
            try await ledger.log(twin.entry("name.create", ["name": "second"], seq: 2))
            #expect(try await ledger.checkpoint().size == 4)
        }
    }

    @Test("puts a tick in front of a batch when one is due, and never one beyond its clock")
    func ticks() async throws {
        let made = try TestLedger.Made()
        try await made.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            made.clock.now += 59
            #expect(try await ledger.log(twin.next("name.create", ["name": "early"])) == 2)
            made.clock.now += 1
            // The idle ledger may have ticked first; either way one tick lies between.
            #expect(try await ledger.log(twin.next("name.create", ["name": "late"])) == 4)
        }
        let end = try made.time()
        #expect(end.now == TestLedger.start + 60)
        #expect(end.ticks == 1)
    }

    @Test("lets time go on when nobody submits anything")
    func idleTick() async throws {
        let made = try TestLedger.Made()
        try await made.serving { ledger in
            made.clock.now += 61
            let note = try #require(try await ledger.client.checkpoint(after: 1, wait: 20))
            #expect(try Checkpoint(parsing: note).size == 2)
        }
        #expect(try made.time().now == TestLedger.start + 61)
    }

    @Test("catches up with several ticks after a long pause")
    func catchesUp() async throws {
        let made = try TestLedger.Made()
        made.clock.now += 3 * 86_400 + 500
        try await made.serving { ledger in
            let note = try #require(try await ledger.client.checkpoint(after: 1, wait: 20))
            #expect(try Checkpoint(parsing: note).size == 5)
        }
        let end = try made.time()
        #expect(end.now == made.clock.now)
        #expect(end.ticks == 4)
    }

    @Test("stands still when the clock is set back")
    func clockBack() async throws {
        let made = try TestLedger.Made()
        made.clock.now -= 1_000_000
        try await made.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            #expect(try await ledger.log(twin.creation) == 1)
        }
        #expect(try made.time().ticks == 0)
    }

    @Test("goes on after a restart from the stored rows, and republishes the same checkpoint")
    func restarts() async throws {
        let made = try TestLedger.Made()
        let twin = try TestTwin(made.ledgerID)
        let before = try await made.serving { ledger in
            try await ledger.log(twin.creation)
            for name in 0..<270 { try await ledger.log(twin.next("name.create", ["name": .string("name-\(name)")])) }
            return try await ledger.client.checkpoint()
        }
        try await made.serving { ledger in
            #expect(try await ledger.client.checkpoint() == before)
            #expect(try await ledger.log(twin.next("name.create", ["name": "after"])) == 272)
            let again = try await ledger.post(twin.creation.leaf)
            #expect(again.status == 200)
        }
    }

    @Test("refuses an entry after which it could not sign, before it is logged")
    func refusesForeignKeys() async throws {
        let made = try TestLedger.Made()
        let root = try SigningKey(seed: made.seed("root.key"))
        let other = try SigningKey(seed: Array(repeating: 7, count: 32))
        let key = VerifierKey(name: TestLedger.origin, type: VerifierKey.noteType, key: other.publicKey)
        let entry = EntryDraft(
            type: "ledger.keys",
            ledger: made.ledgerID,
            account: made.ledgerID,
            signer: root.keyID,
            seq: 1,
            expires: TestLedger.start + 1000,
            body: ["keys": [.string(key.description)], "version": 2]
        ).signed(by: [root, other])
        try await made.serving { ledger in
            let reply = try await ledger.post(entry.leaf)
            #expect(reply.status == 503, "\(reply)")
            #expect(try await ledger.log(TestTwin(ledger.ledgerID).creation) == 1)
        }
    }

    @Test("answers 503 with Retry-After when its queue is full, and goes on")
    func queueFull() async throws {
        var limits = ServiceLimits()
        limits.queuedEntries = 4
        limits.batchEntries = 2
        try await TestLedger.serving(limits: limits) { ledger in
            let twins = try (0..<200).map { _ in try TestTwin(ledger.ledgerID) }
            let replies = try await withThrowingTaskGroup(of: RawHTTP.Reply.self) { group in
                for twin in twins { group.addTask { try await ledger.post(twin.creation.leaf) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let refused = replies.filter { $0.status == 503 }
            #expect(!refused.isEmpty)
            #expect(refused.allSatisfy { $0.headers["retry-after"] != nil && $0.text.contains("unavailable") })
            let logged = replies.filter { $0.status == 201 }.count
            #expect(logged + refused.count == 200)
            #expect(try await ledger.checkpoint().size == UInt64(logged) + 1)
        }
    }

    static let schedules: [(pause: Int64, minimum: Int64, ticks: [Int64])] = [
        (-5, 60, []), (0, 60, []), (59, 1, []), (60, 60, [60]), (60, 61, []), (3600, 3600, [3600]),
        (86_400, 60, [86_400]),
        (86_401, 60, [86_400]), (86_459, 60, [86_400]), (86_460, 60, [86_400, 86_460]),
        (200_000, 60, [86_400, 172_800, 200_000]), (172_801, 1, [86_400, 172_800, 172_801]),
    ]

    @Test("schedules ticks that the fold accepts", arguments: schedules)
    func schedule(pause: Int64, minimum: Int64, ticks: [Int64]) {
        let times = TickSchedule.dueTicks(now: 1000, clock: 1000 + pause, minimum: minimum)
        #expect(times == ticks.map { 1000 + $0 })
    }
}

extension TestLedger.Made {
    /// The stored state; the ledger must not be served.
    func state() throws -> ContractState {
        let store = try LedgerStore(path: folder.path("ledger/ledger.db"))
        defer { try? store.close() }
        return try store.restore().state
    }

    /// Ledger time and the number of ticks in the stored state.
    func time() throws -> (now: Timestamp, ticks: Int64) {
        let state = try state()
        return (state.now, state.ticks)
    }

    /// The seed in a key file of the ledger.
    func seed(_ name: String) throws -> [UInt8] {
        let text = try String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)
        return try #require(Hex.decode(String(text.dropLast())))
    }
}
