import Contracts
import Foundation
import TestSupport
import Testing

/// Public vectors, which are not part of the project: WEBGW_SHARED names the folder.
@Suite("Public vectors of the encodings", .enabled(if: VectorFiles.areShared, "the public vectors are not here"))
struct EncodingPublicVectorTests {
    private struct Wycheproof: Decodable {
        struct Group: Decodable {
            struct Key: Decodable { var pk: String }
            struct Case: Decodable {
                var tcId: Int
                var comment: String
                var msg: String
                var sig: String
                var result: String
            }
            var publicKey: Key
            var tests: [Case]
        }
        var testGroups: [Group]
    }

    @Test("agrees with Wycheproof about every Ed25519 signature")
    func wycheproof() throws {
        let file = try VectorFiles.sharedFile("C2SP_wycheproof/testvectors_v1/ed25519_test.json")
        var count = 0
        for group in try JSONDecoder().decode(Wycheproof.self, from: Data(file)).testGroups {
            let key = PublicKey(hex: group.publicKey.pk)
            for vector in group.tests {
                let signature = try #require(Hex.decode(vector.sig))
                let message = try #require(Hex.decode(vector.msg))
                let isValid = key?.isValid(signature: signature, for: message) ?? false
                #expect(isValid == (vector.result == "valid"), "\(vector.tcId) \(vector.comment)")
                count += 1
            }
        }
        #expect(count == 151)
    }

    private func extracted(_ name: String) throws -> [String: Any] {
        let file = try VectorFiles.sharedFile("extracted/\(name).json")
        return try #require(try JSONSerialization.jsonObject(with: Data(file)) as? [String: Any])
    }

    @Test("makes the pre-authentication encoding of DSSE")
    func dsse() throws {
        let vector = try extracted("dsse")
        let type = try #require(vector["payloadType"] as? String)
        let payload = try #require(vector["payload"] as? String)
        let expected = try #require(vector["pae"] as? String)
        #expect(Envelope.pae(type, Array(payload.utf8)) == Array(expected.utf8))
    }

    @Test("hashes leaves and nodes as RFC 6962 says")
    func merkleTree() throws {
        let vector = try extracted("rfc6962")
        #expect(MerkleTree.emptyRoot.hex == vector["empty_root"] as? String)
        #expect(MerkleTree.leafHash([]).hex == vector["leaf_empty"] as? String)
        #expect(MerkleTree.leafHash(Array("L123456".utf8)).hex == vector["leaf_L123456"] as? String)
        // The vector's node hashes two texts of four bytes, which are no digests.
        let node = Digest.sha256([1] + Array("N123".utf8) + Array("N456".utf8))
        #expect(node.hex == vector["node_N123_N456"] as? String)
    }

    @Test("refuses bad verifier keys, every part of a good one, and every changed byte of it")
    func verifierKeys() throws {
        let vector = try extracted("signed-note")
        let bad = try #require(vector["bad_vkeys"] as? [String])
        for text in bad { #expect(VerifierKey(text) == nil, "\(text)") }
        let cases = try #require(vector["cases"] as? [[String: Any]])
        let good = Set(cases.flatMap { $0["vkeys"] as? [String] ?? [] })
        #expect(good.count >= 3)
        for text in good {
            let key = try #require(VerifierKey(text))
            #expect(key.description == text)
            let bytes = Array(text.utf8)
            for start in bytes.indices {
                for end in start...bytes.count where end - start < bytes.count {
                    #expect(VerifierKey(String(decoding: bytes[start..<end], as: UTF8.self)) == nil)
                }
                var changed = bytes
                changed[start] += 1
                #expect(VerifierKey(String(decoding: changed, as: UTF8.self)) == nil, "byte \(start) of \(text)")
            }
        }
    }
}
