import Foundation
import Ledger
import TestSupport
import Testing

@Suite("Entry bundles in gzip")
struct CompressedBundles {
    /// What curl got: the header, and the body as it came over the wire.
    private func get(_ path: String, of rig: LedgerRig, _ fields: String...) throws -> (head: String, body: Data) {
        let body = rig.folder.path("body-\(UUID().uuidString)")
        let head = try output(
            "/usr/bin/curl",
            ["-s", "-D", "-", "-o", body] + fields.flatMap { ["-H", $0] } + [rig.url + path]
        )
        return (String(decoding: head, as: UTF8.self).lowercased(), try Data(contentsOf: URL(fileURLWithPath: body)))
    }

    private func output(_ program: String, _ arguments: [String], input: Data? = nil) throws -> Data {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw NeverHappened(description: "\(program) \(arguments)") }
        return data
    }

    @Test("are served compressed to who asks, plain to who does not, with the same leaves; other resources never are")
    func negotiated() async throws {
        let rig = try await LedgerRig()
        try await rig.start()
        for _ in 0..<8 { try await rig.append() }
        let size = try await rig.checkpoint().size
        let path = "/tile/entries/000.p/\(size)"
        let plain = try get(path, of: rig)
        #expect(plain.head.contains("200") && !plain.head.contains("content-encoding"))
        #expect(plain.head.contains("vary: accept-encoding"))
        // The first is compressed now, the second was kept.
        for field in ["Accept-Encoding: gzip", "Accept-Encoding: br;q=1, GZIP;q=0.5"] {
            let packed = try get(path, of: rig, field)
            #expect(packed.head.contains("content-encoding: gzip") && packed.head.contains("vary: accept-encoding"))
            #expect(packed.head.contains("cache-control: public, max-age=31536000, immutable"))
            #expect(packed.body.count < plain.body.count * 9 / 10, "\(packed.body.count) of \(plain.body.count) bytes")
            let file = rig.folder.path("packed.gz")
            try packed.body.write(to: URL(fileURLWithPath: file))
            #expect(try output("/usr/bin/gzip", ["-dc", file]) == plain.body)
        }
        for field in ["Accept-Encoding: gzip;q=0, *;q=1", "Accept-Encoding: identity", "Accept-Encoding: br"] {
            let answer = try get(path, of: rig, field)
            #expect(!answer.head.contains("content-encoding") && answer.body == plain.body, "\(field)")
        }
        for other in ["/tile/0/000.p/\(size)", "/checkpoint", "/keyset/0"] {
            #expect(try !get(other, of: rig, "Accept-Encoding: gzip").head.contains("content-encoding"), "\(other)")
        }
        // An auditor asks for gzip, and verifies what comes out of it.
        let replay = ["audit", "replay", rig.url, "--ledger-id", rig.ledgerID, "--dev", "--json"]
        let found = try await rig.run(replay).json()
        #expect(found["size"] as? Int == Int(size) && found["error"] == nil)
        try await rig.stop()
    }
}
