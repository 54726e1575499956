import Contracts
import Foundation
import Ledger
import Testing

@Suite("Snapshots are served once a quorum of auditors attested them", .serialized)
struct SnapshotServing {
    @Test("the ledger takes a snapshot when it has auditors, and serves it when enough of them signed its digests")
    func attested() async throws {
        let deployment = try await Deployment()
        let auditors = try await Auditors(deployment, names: ["ann", "bob"], quorum: 2)
        let size = try await auditors.offeredSize()
        #expect(try await auditors.get("/snapshot/\(size)/manifest").status == 404)

        let first = try await auditors.attest("ann").json()
        #expect(first["attested"] as? Bool == false)
        #expect(first["size"] as? Int == Int(size))
        #expect(first["code"] as? String == "ok")
        #expect(try await auditors.get("/snapshot/\(size)/00").status == 404)

        // The same auditor again is one auditor.
        let again = try await auditors.attest("ann").json()
        #expect(again["notes"] as? Int == 1)
        #expect(again["attested"] as? Bool == false)

        let second = try await auditors.attest("bob", ["ledger"]).json()
        #expect(second["attested"] as? Bool == true)
        #expect(second["state_root"] as? String == first["state_root"] as? String)

        let manifest = try await auditors.get("/snapshot/\(size)/manifest")
        #expect(manifest.status == 200)
        let note = try SignedNote(parsing: [UInt8](manifest.body))
        #expect(try note.verified(by: auditors.members.map(\.auditor.key)).count == 2)
        var roots: [Digest] = []
        for number in 0..<256 {
            let name = Hex.encode([UInt8(number)])
            let chunk = try await auditors.get("/snapshot/\(size)/\(name)")
            #expect(chunk.status == 200)
            roots.append(try StateChunk(parsing: [UInt8](chunk.body), number: number).root)
        }
        #expect(StateChunk.stateRoot(roots).hex == first["state_root"] as? String)

        // What is attested is immutable, also after a restart.
        try await deployment.ledger!.killHard()
        try await deployment.startLedger()
        #expect(try await auditors.get("/snapshot/\(size)/manifest").body == manifest.body)
    }

    @Test("a note of a stranger, of another state, or that is no note is refused by name")
    func refused() async throws {
        let deployment = try await Deployment()
        let auditors = try await Auditors(deployment, names: ["ann"], quorum: 1)
        let size = try await auditors.offeredSize()
        let ann = auditors.members[0]
        let path = "/snapshot/\(size)/notes"

        #expect(try await auditors.post(path, Data("hello\n".utf8)) == (400, "note.malformed"))
        #expect(try await auditors.post("/snapshot/999999/notes", Data("hello\n".utf8)).status == 400)

        let lie = StateNote(
            origin: "test.example/ledger",
            size: size,
            root: .sha256([1]),
            outcomeRoot: .sha256([2]),
            stateRoot: .sha256([3])
        )
        let signed = lie.signed(by: ann.noteKey, as: ann.auditor.key)
        #expect(try await auditors.post(path, Data(signed)) == (422, "state.divergence"))
        let stranger = try SigningKey(seed: [UInt8](repeating: 7, count: 32))
        let strange = VerifierKey(name: "ann.example", type: VerifierKey.noteType, key: stranger.publicKey)
        #expect(
            try await auditors.post(path, Data(lie.signed(by: stranger, as: strange))) == (403, "auditor.forbidden")
        )
        // Ann's name and key hash over another key's signature.
        #expect(
            try await auditors.post(path, Data(lie.signed(by: stranger, as: ann.auditor.key)))
                == (403, "signature.invalid")
        )
        #expect(try await auditors.get("/snapshot/\(size)/manifest").status == 404)

        // Somebody who is no auditor, an auditor with another note key, a size that does not exist.
        try await deployment.makeTwin("eve")
        try await deployment.run(["keys", "new", "eve-note.key"])
        let eve = try await auditors.attest("eve", status: 1)
        #expect(try eve.json()["code"] as? String == "auditor.forbidden")
        let wrong = try await deployment.act(
            "ann",
            ["audit", "attest", "--note-key", "eve-note.key", "--output", "x.note"],
            status: 1
        )
        #expect(try wrong.json()["code"] as? String == "auditor.forbidden")
        try await auditors.attest("ann", ["--size", "999999"], status: 2)
        try await auditors.attest("ann", ["--size", "0"], status: 2)
    }
}
