import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("Audit: going on where the last replay ended")
struct AuditResumeTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// A source that remembers which bundles it gave, and goes away at one of them.
    private struct Counted: LogSource {
        var log: AuditedTestLog
        var missing: String?
        let bundles = NIOLockedValueBox<Set<String>>([])

        func checkpoint() async throws -> [UInt8]? { log.note }

        func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]? {
            if path.content == .entries {
                if path.description == missing { throw NotInTime(description: "gone") }
                bundles.withLockedValue { _ = $0.insert(path.description) }
            }
            return try await log.tile(path, limit: limit)
        }
    }

    private func replay(_ log: Counted, isResumed: Bool = true) async throws -> AuditReport {
        let options = log.log.options
        let store = isResumed ? try AuditStore(path: folder.path("state"), ledgerID: options.ledgerID) : nil
        return try await AuditReplay.run(log, pack: nil, options: options, store: store)
    }

    private func log(_ size: Int, from first: UInt8 = 100) -> Counted {
        var log = TestLog()
        log.grow(to: size, from: first)
        return Counted(log: AuditedTestLog(log))
    }

    @Test("finds the same as a replay from the first entry, and reads only what is new")
    func resumes() async throws {
        #expect(try await replay(log(300)).verdict == .equal)
        let longer = log(600)
        let resumed = try await replay(longer)
        let fresh = try await replay(log(600), isResumed: false)
        #expect(resumed.json == fresh.json && resumed.verdict == .equal)
        #expect(longer.bundles.withLockedValue { $0 } == ["tile/entries/001", "tile/entries/002.p/88"])
        let again = log(600)
        #expect(try await replay(again).json == fresh.json)
        #expect(again.bundles.withLockedValue(\.isEmpty) || again.bundles.withLockedValue { $0.count } == 1)
    }

    @Test("keeps what it folded when the source goes away")
    func interrupted() async throws {
        var away = log(600)
        away.missing = "tile/entries/002.p/88"
        await #expect(throws: NotInTime.self) { try await replay(away) }
        let back = log(600)
        #expect(try await replay(back).verdict == .equal)
        #expect(back.bundles.withLockedValue { $0 } == ["tile/entries/002.p/88"])
    }

    @Test("refuses a log that no longer has the entries that were verified")
    func otherHistory() async throws {
        _ = try await replay(log(300))
        let rolledBack = try await replay(log(280))
        #expect(rolledBack.failures.first?.code == "checkpoint.stale")
        #expect(try await replay(log(400, from: 7)).failures.first?.code == "checkpoint.fork")
        #expect(try await replay(log(300)).verdict == .equal)
    }

    @Test("never takes a damaged file for a verified state, or for an empty one")
    func damagedFile() async throws {
        let log = self.log(40)
        let good = try await replay(log).json
        let file = URL(fileURLWithPath: folder.path("state"))
        let bytes = try Data(contentsOf: file)
        #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o600)
        let seed = UInt64.random(in: 0..<UInt64.max)
        var generator = SplitMix64(seed: seed)
        var refused = 0
        for _ in 0..<150 {
            var damaged = bytes
            let index = Int.random(in: damaged.indices, using: &generator)
            damaged[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            try damaged.write(to: file)
            do {
                let report = try await replay(log)
                // Unused parts of a page say nothing; a header that asks for repair may lead to a replay from the start.
                #expect(report.json == good, "seed \(seed): byte \(index)")
            } catch is AuditStoreError {
                refused += 1
            }
        }
        #expect(refused > 10, "seed \(seed)")
        try bytes.write(to: file)
        let other = AuditOptions(ledgerID: .sha256([1]), localNow: 0)
        await #expect(throws: AuditStoreError.self) {
            let store = try AuditStore(path: file.path, ledgerID: other.ledgerID)
            _ = try await AuditReplay.run(log, pack: nil, options: other, store: store)
        }
    }
}
