import Contracts
import Foundation
import Ledger
import Testing

@Suite("Fixture packs")
struct LogPackTests {
    @Test(
        "replays each pack to the results that it records, tampered envelopes and attack files too",
        arguments: LogPack.all
    )
    func replaysPack(_ pack: LogPack) async throws {
        let folder = LogFolder(path: pack.path)
        let report = try await AuditReplay.run(folder, pack: folder.pack, options: pack.options())
        #expect(report.failures.isEmpty, "\(report.failures.map(\.description))")
        #expect(report.verdict == (pack.isUnsupported ? .unsupported : .equal))
        let each = try #require(report.each)
        for verdict in each {
            #expect(verdict.agrees, "\(verdict.name): expected \(verdict.expected), got \(verdict.got)")
        }
    }

    @Test("replays the log of a pack without its recorded results", arguments: LogPack.all)
    func replaysPlainLog(_ pack: LogPack) async throws {
        let report = try await AuditReplay.run(LogFolder(path: pack.path), pack: nil, options: pack.options())
        #expect(report.failures.isEmpty, "\(report.failures.map(\.description))")
        #expect(report.verdict == (pack.isUnsupported ? .unsupported : .equal))
        #expect(report.quorumTime != nil)
    }
}
