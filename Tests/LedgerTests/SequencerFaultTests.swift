import Contracts
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("Sequencer with a failing store")
struct SequencerFaultTests {
    static let faults: [(FaultyLog.Call, FaultyLog.Moment)] =
        [FaultyLog.Call.head, .commit, .permitSigning, .publish, .receipts].flatMap { call in
            FaultyLog.Moment.allCases.map { (call, $0) }
        }

    @Test("keeps every answer it gave when a call fails, and recovers by itself", arguments: faults)
    func failsOnce(call: FaultyLog.Call, moment: FaultyLog.Moment) async throws {
        try await run(call, moment, count: 1)
    }

    @Test("keeps every answer it gave when a call fails again and again", arguments: faults)
    func failsOften(call: FaultyLog.Call, moment: FaultyLog.Moment) async throws {
        try await run(call, moment, count: 3)
    }

    /// Submits under faults, then without: whatever happened, each entry ends in the log exactly once.
    private func run(_ call: FaultyLog.Call, _ moment: FaultyLog.Moment, count: Int) async throws {
        let plan = FaultyLog.Plan()
        let made = try TestLedger.Made()
        var limits = ServiceLimits()
        limits.submissionWait = .seconds(2)
        limits.retryShortest = .milliseconds(10)
        try await made.serving(limits: limits, interpose: plan.interpose) { ledger in
            try await eventually("a checkpoint is shown") {
                try await ledger.request("GET", "/checkpoint").status == 200
            }
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            plan.fail(call, moment, count: count)
            let entries = (0..<5).map { twin.next("name.create", ["name": .string("name-\($0)")]) }
            var acknowledged: [Int: [UInt8]] = [:]
            for (number, entry) in entries.enumerated() {
                let reply = try await ledger.post(entry.leaf)
                // A lost entry makes the ones behind it a gap: that is a verdict too, and a right one.
                #expect([200, 201, 202, 409, 503].contains(reply.status), "\(reply)")
                if reply.status <= 201 { acknowledged[number] = reply.body }
            }
            #expect(plan.met > 0)
            plan.heal()
            for (number, entry) in entries.enumerated() {
                try await eventually("the entry is logged") { try await ledger.post(entry.leaf).status <= 201 }
                let reply = try await ledger.post(entry.leaf)
                #expect(reply.status == 200)
                try ledger.verify(reply.body, entry)
                if let body = acknowledged[number] { #expect(reply.body == body) }
            }
            #expect(try await ledger.checkpoint().size == 7)
        }
    }

    @Test("publishes after a restart what it could only commit")
    func restartAfterCommit() async throws {
        let plan = FaultyLog.Plan()
        let made = try TestLedger.Made()
        let twin = try TestTwin(made.ledgerID)
        var limits = ServiceLimits()
        limits.submissionWait = .milliseconds(100)
        try await made.serving(limits: limits, interpose: plan.interpose) { ledger in
            try await eventually("a checkpoint is shown") {
                try await ledger.request("GET", "/checkpoint").status == 200
            }
            plan.fail(.permitSigning, .before, count: .max)
            #expect(try await ledger.post(twin.creation.leaf).status == 202)
            // Committed and not published: nobody may see it yet.
            #expect(try await ledger.checkpoint().size == 1)
            #expect(try await ledger.request("GET", "/tile/entries/000.p/2").status == 404)
            let state = try await ledger.request("GET", "/tx/\(twin.id.hex)")
            #expect(state.text.contains(#""state":"pending""#), "\(state)")
        }
        try await made.serving { ledger in
            let checkpoint = try await ledger.checkpoint()
            #expect(checkpoint.size == 2)
            #expect(try await ledger.post(twin.creation.leaf).status == 200)
        }
    }

    @Test("is stopped by the sign guard when the database is an older copy with another future")
    func restoredCopy() async throws {
        let made = try TestLedger.Made()
        try await made.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            try await ledger.log(twin.next("name.create", ["name": "first"]))
        }
        let store = try LedgerStore(path: "\(made.directory)/ledger.db")
        defer { try? store.close() }
        await #expect(throws: StoreError.signingRefused(size: 2, lastSize: 3)) {
            try await store.permitSigning(size: 2, root: .zero)
        }
        await #expect(throws: StoreError.signingRefused(size: 3, lastSize: 3)) {
            try await store.permitSigning(size: 3, root: .zero)
        }
        let head = try await store.head()
        try await store.permitSigning(size: head.size, root: head.root)
    }
}
