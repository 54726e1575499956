import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

/// Public vectors, which are not part of the project: WEBGW_SHARED names the folder.
@Suite("Public vectors of the log", .enabled(if: VectorFiles.areShared, "the public vectors are not here"))
struct LogPublicVectorTests {
    private struct Inclusion: Decodable {
        var leafIdx: UInt64
        var treeSize: UInt64
        var root: Data?
        var leafHash: Data?
        var proof: [Data]?
        var desc: String
        var wantErr: Bool
    }

    private struct Consistency: Decodable {
        var size1: UInt64
        var size2: UInt64
        var root1: Data?
        var root2: Data?
        var proof: [Data]?
        var desc: String
        var wantErr: Bool
    }

    private struct Notes: Decodable {
        struct Case: Decodable {
            var name: String
            var note: String?
            var note_b64: String?
            var vkeys: [String]
            var verified: [String]?
            var error: Bool?
        }
        struct Sign: Decodable {
            var skey: String
            var text: String
            var want: String
        }
        var sign: Sign
        var cases: [Case]
    }

    /// All JSON files below a folder of the Merkle vectors.
    private func vectors<Vector: Decodable>(_ folder: String, as type: Vector.Type) throws -> [Vector] {
        let root = try #require(VectorFiles.shared).appending(path: "transparency-dev_merkle/testdata/\(folder)")
        let walk = try #require(FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil))
        return try walk.compactMap { $0 as? URL }.filter { $0.pathExtension == "json" }
            .map { try JSONDecoder().decode(type, from: Data(contentsOf: $0)) }
    }

    private func digests(_ proof: [Data]?) -> [Digest]? {
        let hashes = (proof ?? []).compactMap { Digest($0) }
        return hashes.count == (proof ?? []).count ? hashes : nil
    }

    /// Some vectors have a few words for a root that does not matter; equal words are to be equal roots.
    private static func root(_ bytes: Data) -> Digest {
        Digest(bytes) ?? .sha256([UInt8](bytes))
    }

    @Test("verifies inclusion proofs as the public vectors say")
    func inclusion() throws {
        let all = try vectors("inclusion", as: Inclusion.self)
        #expect(all.count > 60)
        for vector in all {
            var isValid = false
            if let root = vector.root.flatMap({ Digest($0) }), let leaf = vector.leafHash.flatMap({ Digest($0) }),
                let proof = digests(vector.proof)
            {
                isValid = Proofs.verifyInclusion(
                    index: vector.leafIdx,
                    size: vector.treeSize,
                    leafHash: leaf,
                    proof: proof,
                    root: root
                )
            }
            #expect(isValid == !vector.wantErr, "\(vector.desc)")
        }
    }

    @Test("verifies consistency proofs as the public vectors say, and none from size zero")
    func consistency() throws {
        let all = try vectors("consistency", as: Consistency.self)
        #expect(all.count > 80)
        for vector in all {
            var isValid = false
            if let first = vector.root1.map(Self.root), let second = vector.root2.map(Self.root),
                let proof = digests(vector.proof)
            {
                isValid = Proofs.verifyConsistency(
                    from: vector.size1,
                    root: first,
                    to: vector.size2,
                    root: second,
                    proof: proof
                )
            }
            #expect(isValid == (!vector.wantErr && vector.size1 > 0), "\(vector.desc)")
        }
    }

    private func notes() throws -> Notes {
        try JSONDecoder().decode(Notes.self, from: Data(try VectorFiles.sharedFile("extracted/signed-note.json")))
    }

    @Test("opens signed notes as the public vectors say")
    func opensNotes() throws {
        for vector in try notes().cases {
            let bytes = try #require(
                vector.note.map { Array($0.utf8) } ?? vector.note_b64.flatMap { Base64.decode($0) }
            )
            let keys = vector.vkeys.compactMap { VerifierKey($0) }
            #expect(keys.count == vector.vkeys.count, "\(vector.name)")
            let names = (try? SignedNote(parsing: bytes))
                .flatMap { try? $0.verified(by: keys) }
                .map { Set($0.map(\.key.name)) }
            if vector.error == true {
                #expect(names?.isEmpty ?? true, "\(vector.name)")
            } else {
                #expect(names == Set(vector.verified ?? []), "\(vector.name)")
            }
        }
    }

    @Test("signs a note byte for byte as the public vectors say")
    func signsNotes() throws {
        let vector = try notes().sign
        let parts = vector.skey.split(separator: "+", maxSplits: 4).map(String.init)
        let secret = try #require(parts.last.flatMap { Base64.decode($0) })
        #expect(secret.first == VerifierKey.noteType)
        let key = try SigningKey(seed: Array(secret.dropFirst()))
        let verifierKey = VerifierKey(name: parts[2], type: VerifierKey.noteType, key: key.publicKey)
        let note = SignedNote.signed(text: Array(vector.text.utf8), by: [(key, verifierKey)])
        #expect(note.bytes == Array(vector.want.utf8))
    }

    @Test("names tiles, and knows which ones a log has, as the public vectors say")
    func tiles() throws {
        let file = try VectorFiles.sharedFile("extracted/rfc6962.json")
        let vector = try #require(try JSONSerialization.jsonObject(with: Data(file)) as? [String: Any])
        let paths = try #require(vector["tile_path"] as? [String: String])
        for (index, path) in paths {
            let tile = TilePath(.entries, index: try #require(UInt64(index)), width: 256)
            #expect(tile.description == "tile/entries/\(path)")
            #expect(TilePath(tile.description) == tile)
        }
        let sizes = try #require(vector["tiles_for_size"] as? [String: [String: [UInt64]]])
        for (size, levels) in sizes {
            for (name, counts) in levels {
                let level = try #require(Int(name.dropFirst("level".count)))
                let all = TilePath.all(.hashes(level: level), size: try #require(UInt64(size)))
                #expect(UInt64(all.count { $0.width == 256 }) == counts[0], "\(size) \(name)")
                #expect(UInt64(all.last.map { $0.width % 256 } ?? 0) == counts[1], "\(size) \(name)")
            }
        }
    }
}
