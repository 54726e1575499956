import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("What following an idle ledger costs")
struct WatcherTrafficTests {
    /// Both kinds of poll that a gateway sends: long ones, answered 204 when their time is over, and plain ones between.
    @Test("a poll of an idle ledger is less than 1 KiB on the wire, headers included", arguments: [0, 1])
    func idle(longPoll: Int) async throws {
        try await TestLedger.serving { ledger in
            try await CountingProxy.serving(to: ledger.port) { proxy in
                let folder = try TemporaryFolder()
                var configuration = WatcherConfiguration(
                    urls: [proxy.url],
                    ledgerID: ledger.ledgerID,
                    stateDirectory: folder.path("state"),
                    isDev: true
                )
                configuration.longPoll = longPoll
                configuration.poll = .milliseconds(20)
                configuration.now = { ledger.clock.now }
                let watcher = try Watcher(configuration: configuration)
                defer { watcher.shutdown() }
                _ = try await watcher.catchUp()
                let before = proxy.count
                await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await watcher.run() }
                    defer { group.cancelAll() }
                    let polls = longPoll == 0 ? 50 : 6
                    #expect(await comesTrue { proxy.count.requests >= before.requests + polls })
                }
                let after = proxy.count
                let requests = after.requests - before.requests
                let bytes = after.asked - before.asked + after.answered - before.answered
                print("idle poll, long poll \(longPoll) s: \(bytes / requests) bytes in \(requests) polls")
                #expect(bytes < requests * 1024)
            }
        }
    }

    @Test("a poll that brings fresh cosignatures of three witnesses is less than 1 KiB, too")
    func cosigned() throws {
        let log = TestLog()
        var note = try SignedNote(parsing: log.checkpoint())
        for number in UInt8(1)...2 {
            let key = TestLog.key(3, number)
            let vkey = VerifierKey(
                name: "witness\(number).example",
                type: VerifierKey.cosignatureType,
                key: key.publicKey
            )
            let line = Cosignature.sign(text: note.text, time: UInt64(TestLog.start), with: key, as: vkey)
            note = SignedNote(text: note.text, signatures: note.signatures + [line])
        }
        // What a plain poll costs besides the note is measured above, at most 400 bytes.
        #expect(note.bytes.count < 1024 - 400)
    }
}
