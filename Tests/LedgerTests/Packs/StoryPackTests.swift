import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// The generator of the packs `farmer`, `user` and `rotation`, and the proof that they are what it makes.
@Suite("Packs of the three stories")
struct StoryPackTests {
    private static func make(_ name: String, into folder: String) async throws -> (StoryLedger, AuditReport) {
        guard let story = Stories.all.first(where: { $0.name == name }) else { throw CocoaError(.fileNoSuchFile) }
        let ledger = story.ledger
        let maker = PackMaker(
            audit: AuditOptions(ledgerID: ledger.id, localNow: ledger.now),
            manifestKey: (StoryLedger.manifestKey, StoryLedger.manifestVerifierKey),
            ledgerKey: ledger.key("ledger \(story.key)"),
            witnessKeys: story.witnesses.map { ledger.key("witness \($0)") }
        )
        let log = ledger.log(ledger: story.key, witnesses: story.witnesses)
        return (ledger, try await maker.make(from: log, into: folder))
    }

    /// With WEBGW_WRITE_PACKS=1 a pack that is not there yet is written; one that is there is never changed.
    @Test("every story goes as it is told, and its pack is the one in fixtures", arguments: Stories.all.map(\.name))
    func matchesFixture(_ name: String) async throws {
        let folder = try TemporaryFolder()
        let (ledger, report) = try await Self.make(name, into: folder.path(name))
        #expect(ledger.surprises.isEmpty, "\(ledger.surprises)")
        #expect(report.verdict == .equal)
        let fixture = VectorFiles.fixture("packs/\(name)")
        if ProcessInfo.processInfo.environment["WEBGW_WRITE_PACKS"] == "1",
            !FileManager.default.fileExists(atPath: fixture.path)
        {
            try FileManager.default.copyItem(atPath: folder.path(name), toPath: fixture.path)
            print("wrote \(name): ledger \(ledger.id), \(ledger.leaves.count) entries, \(report.codes.count) codes")
            print("manifest key \(StoryLedger.manifestVerifierKey)")
        }
        let made = LogFolder(path: folder.path(name)).pack
        let kept = LogFolder(path: fixture.path).pack
        #expect(try made.paths() == kept.paths())
        for path in try made.paths() {
            #expect(try made.file(path) == kept.file(path), "\(path)")
        }
    }

    @Test("every code that can stand in a log stands in a pack, and every result has an attack file")
    func coverage() throws {
        var codes: Set<String> = []
        var results: Set<String> = []
        for pack in LogPack.all {
            let files = LogFolder(path: pack.path).pack
            codes.formUnion(try PackExpectation(files).codes.keys)
            let tampered = try TamperedCase.all(files).map(\.expected)
            // It cannot stand behind a genesis, so only an envelope on the empty state can have it.
            codes.formUnion(tampered.filter { $0 == "genesis.required" })
            if Stories.all.contains(where: { $0.name == pack.name }) { #expect(!tampered.contains("ok")) }
            results.formUnion(try AttackCase.all(files).map(\.expected))
        }
        #expect(Set(Code.allCases.map(\.rawValue)).subtracting(codes).isEmpty)
        let judged: [VerificationResult] = [
            .ok, .noteMalformed, .checkpointOrigin, .checkpointSignature, .checkpointQuorum, .checkpointStale,
            .checkpointFork, .entriesMismatch, .evidenceInvalid,
        ]
        #expect(Set(judged.map(\.rawValue)).subtracting(results).isEmpty)
    }
}
