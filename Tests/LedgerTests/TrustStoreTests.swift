import Contracts
import Foundation
import GRDB
import TestSupport
import Testing

@testable import Ledger

@Suite("TrustStore")
struct TrustStoreTests {
    /// A state directory with a verified log of 5 entries, in use by nobody.
    private func verified(_ body: (String, WatcherConfiguration) async throws -> Void) async throws {
        var log = TestLog()
        log.grow(to: 5)
        try await WatcherHarness.serving(log) { harness, server in
            let configuration = harness.configuration(server)
            try await catchUp(configuration)
            try await body(harness.directory, configuration)
        }
    }

    private func catchUp(_ configuration: WatcherConfiguration) async throws {
        let watcher = try Watcher(configuration: configuration)
        defer { watcher.shutdown() }
        _ = try await watcher.catchUp()
    }

    private func edit(_ directory: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: "\(directory)/trust.sqlite")
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }

    private func expect(_ code: TrustStoreError.Code, _ configuration: WatcherConfiguration) {
        #expect {
            try Watcher(configuration: configuration)
        } throws: { ($0 as? LedgerRefusal)?.code == code.rawValue }
    }

    @Test("tells a second user of the directory that it is in use")
    func lock() async throws {
        try await verified { directory, configuration in
            do {
                let holder = try Watcher(configuration: configuration)
                defer { holder.shutdown() }
                #expect {
                    try Watcher(configuration: configuration)
                } throws: { error in
                    let message = (error as? LedgerRefusal)?.message ?? ""
                    return message.contains(directory) && message.contains("\(getpid())")
                }
            }
            try await catchUp(configuration)
        }
    }

    @Test(
        "halts on a file that fails its check",
        arguments: [
            "UPDATE trust SET size = size - 1",
            "UPDATE trust SET root = zeroblob(32)",
            "UPDATE trust SET quorum_time = quorum_time + 1",
            "UPDATE trust SET checkpoint = x'00'",
            "UPDATE trust SET halted_reason = 'time.jump'",
            "UPDATE trust SET seal = zeroblob(32)",
            "DELETE FROM trust",
            "DELETE FROM state WHERE key = (SELECT max(key) FROM state)",
            "UPDATE state SET value = CAST('{}' AS BLOB) WHERE key LIKE 'twin/%'",
            "INSERT INTO state (key, value) SELECT 'lane/' || substr(key, 6) || substr(key, 5), x'7B7D' FROM state "
                + "WHERE key LIKE 'twin/%' LIMIT 1",
            "DROP TABLE state",
            "PRAGMA application_id = 7",
        ]
    )
    func check(sql: String) async throws {
        try await verified { directory, configuration in
            try edit(directory, sql)
            expect(.corrupt, configuration)
            // Still so at the next attempt: no attempt repairs or empties it.
            expect(.corrupt, configuration)
        }
    }

    @Test("halts on a file that is empty, cut or no database", arguments: [0, 100, 5000])
    func cut(length: Int) async throws {
        try await verified { directory, configuration in
            let file = URL(fileURLWithPath: "\(directory)/trust.sqlite")
            let bytes = try Data(contentsOf: file)
            try bytes.prefix(length).write(to: file)
            expect(.corrupt, configuration)
            try Data("not a database, and long enough to look like one".utf8).write(to: file)
            expect(.corrupt, configuration)
        }
    }

    @Test("refuses a directory of another ledger")
    func otherLedger() async throws {
        try await verified { _, configuration in
            var other = configuration
            other.ledgerID = .sha256([1])
            expect(.otherLedger, other)
        }
    }

    @Test("reports a directory that cannot be made, with its path")
    func unusable() async throws {
        var configuration = WatcherConfiguration(
            urls: ["http://127.0.0.1:9"],
            ledgerID: .zero,
            stateDirectory: "/dev/null/state"
        )
        configuration.now = { 0 }
        expect(.io, configuration)
    }

    @Test("writes with synchronous FULL and a write-ahead log")
    func durability() async throws {
        try await verified { directory, configuration in
            let store = try TrustStore.open(path: directory, ledgerID: configuration.ledgerID).store
            let (synchronous, journal) = try await store.pragmas()
            #expect(synchronous == 2)
            #expect(journal == "wal")
        }
    }

    @Test("refuses a step that is none forward, or that starts elsewhere")
    func conditional() async throws {
        try await verified { directory, configuration in
            let (store, position, _) = try TrustStore.open(path: directory, ledgerID: configuration.ledgerID)
            func step(from previous: TrustedPosition, leaves: Int) async throws {
                var next = previous
                for number in 0..<leaves { next.edge.append(.sha256([UInt8(number)])) }
                next.root = next.edge.root
                let hashes = (0..<leaves).map { Digest.sha256([UInt8($0)]) }
                let page = TrustStore.Page(start: previous.size, leaves: hashes)
                try await store.advance(from: previous, to: next, [], page)
            }
            await #expect(throws: TrustStoreError.self) { try await step(from: position, leaves: 0) }
            var elsewhere = position
            elsewhere.edge.append(.zero)
            await #expect(throws: TrustStoreError.self) { try await step(from: elsewhere, leaves: 1) }
            var other = position
            other.root = .zero
            await #expect(throws: TrustStoreError.self) { try await store.renew(from: position, to: other) }
        }
    }
}
