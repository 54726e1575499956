import Contracts
import Foundation
import TestSupport
import Testing

@Suite("audit")
struct AuditCommandTests {
    private struct Pin {
        var path: String
        var ledger: String
        var manifestKey: String

        init(_ name: String) throws {
            let index = try JSONValue(document: [UInt8](Data(contentsOf: VectorFiles.fixture("packs/index.json"))))
            let element = try #require(index.asArray?.first { $0["pack"]?.asString == name })
            path = VectorFiles.fixture("packs/\(name)").path
            ledger = try #require(element["ledger"]?.asString)
            manifestKey = try #require(element["manifest_key"]?.asString)
        }
    }

    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func replay(_ arguments: String...) async throws -> GWNode.Result {
        try await GWNode.run(["audit", "replay"] + arguments, in: folder, seconds: 100)
    }

    @Test("replays a pack with exit status 0, and says what it found")
    func replaysPack() async throws {
        let pin = try Pin("public")
        let result = try await replay(
            pin.path,
            "--ledger-id",
            pin.ledger,
            "--manifest-key",
            pin.manifestKey,
            "--each",
            "--json"
        )
        #expect(result.status == 0, "\(result.errors)")
        let found = try JSONValue(document: Array(result.output.utf8))
        let expected = try JSONValue(
            document: [UInt8](Data(contentsOf: VectorFiles.fixture("packs/public/expect.json")))
        )
        for member in ["size", "root", "outcome_root", "state_root", "time", "codes"] {
            #expect(found[member] == expected[member], "\(member)")
        }
        let each = try #require(found["each"]?.asArray)
        #expect(each.count > 900)
        #expect(each.allSatisfy { $0["expect"] == $0["got"] && $0["name"]?.asString != nil })
        #expect(found["error"] == nil && found["first_bad_index"] == nil)
    }

    @Test("ends with exit status 3 at a fold upgrade")
    func unsupported() async throws {
        let pin = try Pin("public-upgrade")
        let result = try await replay(pin.path, "--ledger-id", pin.ledger, "--json")
        #expect(result.status == 3)
        #expect(try JSONValue(document: Array(result.output.utf8))["size"] == 6)
    }

    @Test("ends with exit status 1 on another ledger id, with one JSON document that says why")
    func otherLedger() async throws {
        let pin = try Pin("public")
        let result = try await replay(pin.path, "--ledger-id", try Pin("random").ledger, "--json")
        #expect(result.status == 1)
        #expect(try JSONValue(document: Array(result.output.utf8))["error"]?.asString != nil)
        #expect(result.errors.contains("do not trust"))
    }

    @Test("ends with exit status 2 on wrong usage")
    func usage() async throws {
        let pin = try Pin("public")
        for arguments in [
            [pin.path], [pin.path, "--ledger-id", "abc"], ["\(folder.url.path)/none", "--ledger-id", pin.ledger],
            [pin.path, "--ledger-id", pin.ledger, "--manifest-key", "x"],
            [folder.url.path, "--ledger-id", pin.ledger, "--each"],
            ["\(pin.path)/MANIFEST", "--ledger-id", pin.ledger], ["http://", "--ledger-id", pin.ledger],
        ] {
            let result = try await GWNode.run(["audit", "replay"] + arguments, in: folder)
            #expect(result.status == 2, "\(arguments): \(result)")
        }
    }

    @Test("ends with exit status 1 and a sentence when there is no log, or a damaged one")
    func damaged() async throws {
        let pin = try Pin("public")
        let empty = try await replay(folder.url.path, "--ledger-id", pin.ledger, "--json")
        #expect(empty.status == 1, "\(empty)")
        for text in ["", "no database", "SQLite format 3\u{0}" + String(repeating: "x", count: 5000)] {
            try folder.write("ledger.db", text)
            for command in [["replay"], ["routes", "--node", pin.ledger, "--height", "0"]] {
                let result = try await GWNode.run(
                    ["audit"] + command + [folder.url.path, "--ledger-id", pin.ledger, "--json"],
                    in: folder
                )
                #expect(result.status == 1, "\(result)")
                #expect(result.errors.hasPrefix("gw-node: "), "\(result)")
                #expect(throws: Never.self) { try JSONValue(document: Array(result.output.utf8)) }
            }
        }
    }

    @Test("prints the route table of a height with the digest that the pack records")
    func routes() async throws {
        let pin = try Pin("public")
        let expected = try JSONValue(
            document: [UInt8](Data(contentsOf: VectorFiles.fixture("packs/public/expect.json")))
        )
        for route in try #require(expected["routes"]?.asArray).prefix(3) {
            let node = try #require(route["node"]?.asString)
            let height = try #require(route["height"]?.asInteger)
            let result = try await GWNode.run(
                [
                    "audit", "routes", pin.path, "--ledger-id", pin.ledger, "--node", node, "--height", "\(height)",
                    "--json",
                ],
                in: folder
            )
            #expect(result.status == 0, "\(result)")
            let found = try JSONValue(document: Array(result.output.utf8))
            #expect(found["digest"] == route["digest"] && found["node"] == route["node"])
            let table: JSONValue = ["node": .string(node), "routes": found["routes"] ?? [], "v": 1]
            #expect(Digest.sha256(table.canonical).hex == route["digest"]?.asString)
        }
    }

    @Test("audits a trial ledger while it is served, by its directory and by its URL")
    func servedLedger() async throws {
        let ledger = try await TrialLedger(in: folder)
        try await ledger.join("alice")
        for log in [folder.path("ledger"), ledger.url] {
            let result = try await replay(log, "--ledger-id", ledger.id, "--dev", "--json")
            #expect(result.status == 0, "\(result)")
            let refused = try await replay(log, "--ledger-id", ledger.id, "--json")
            #expect(refused.status == 1)
            #expect(try JSONValue(document: Array(refused.output.utf8))["error"] == "checkpoint.quorum")
        }
        let unreachable = try await replay("http://127.0.0.1:9", "--ledger-id", ledger.id)
        #expect(unreachable.status == 69)
    }
}
