import Contracts
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("Where an audit reads a log from")
struct LogSourceTests {
    /// Signs with keys of fixed seeds, so that the two sources show the same log.
    private func twin(_ number: UInt8, _ ledger: TestLedger) throws -> Envelope {
        let key = try SigningKey(seed: [UInt8](repeating: number, count: 32))
        let body = TwinCreateBody(keys: TwinKeys(owner: [key.publicKey]))
        let draft = EntryDraft(
            .twinCreate(body),
            ledger: ledger.ledgerID,
            signer: key.keyID,
            expires: TestLedger.start + 86_400
        )
        return draft.signed(by: [key])
    }

    private func options(_ ledger: TestLedger, dev: Bool = true) -> AuditOptions {
        AuditOptions(ledgerID: ledger.ledgerID, dev: dev, localNow: ledger.clock.now)
    }

    @Test("finds the same log in a ledger's directory and behind its URL")
    func sameLog() async throws {
        try await TestLedger.serving { ledger in
            for number in 1...20 { try await ledger.log(try twin(UInt8(number), ledger)) }
            let stored = try StoredLog(directory: ledger.folder.path("ledger"))
            let directory = try await AuditReplay.run(stored, pack: nil, options: options(ledger))
            let served = try await AuditReplay.run(ServedLog(ledger.client), pack: nil, options: options(ledger))
            for report in [directory, served] {
                #expect(report.verdict == .equal, "\(report.failures)")
                #expect(report.codes[.ok] == report.size)
                #expect(report.size >= 21)
            }
            #expect(directory.json == served.json)
            let checkpoint = try await ledger.checkpoint()
            #expect(served.root == checkpoint.root && served.size == checkpoint.size)
        }
    }

    @Test("accepts a ledger whose quorum is none only when asked to")
    func quorumNone() async throws {
        try await TestLedger.serving { ledger in
            let closed = options(ledger, dev: false)
            let report = try await AuditReplay.run(ServedLog(ledger.client), pack: nil, options: closed)
            #expect(report.verdict == .different)
            #expect(report.failures.first?.code == VerificationResult.checkpointQuorum.rawValue)
        }
    }

    @Test("gives the route table of a height, and none beyond the end")
    func routes() async throws {
        try await TestLedger.serving { ledger in
            let node = Digest.sha256([1])
            let found = try await AuditRoutes.run(
                ServedLog(ledger.client),
                node: node,
                height: 1,
                at: nil,
                options: options(ledger)
            )
            #expect(found.table.routes.isEmpty)
            #expect(found.json["height"] == 1)
            await #expect(throws: AuditRoutes.Refusal.self) {
                try await AuditRoutes.run(
                    ServedLog(ledger.client),
                    node: node,
                    height: 1_000_000,
                    at: nil,
                    options: options(ledger)
                )
            }
        }
    }

    @Test("cuts a partial tile out of the full one when the log has grown")
    func grownLog() async throws {
        var files: [String: [UInt8]] = [:]
        let leaves = (0..<256).map { [UInt8($0)] }
        let hashes = leaves.map { MerkleTree.leafHash($0) }
        files["tile/0/000"] = HashTile(hashes).bytes
        files["tile/entries/000"] = EntryBundle.encode(leaves)
        let log = MemoryLog(files: files)
        #expect(try await log.hashTile(level: 0, index: 0, width: 9) == HashTile(Array(hashes[..<9])))
        #expect(try await log.leaves(TilePath(.entries, index: 0, width: 9)) == Array(leaves[..<9]))
        #expect(try await log.hashTile(level: 0, index: 1, width: 9) == nil)
    }
}
