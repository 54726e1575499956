import Contracts
import Testing

@Suite("Values")
struct EncodingValueTests {
    @Test("orders digests and keys as bytes")
    func digestOrder() throws {
        let digests = (0..<200).map { Digest.sha256([UInt8($0)]) }
        let sorted = digests.sorted()
        #expect(sorted.map(\.hex) == digests.map(\.hex).sorted())
        #expect(digests.allSatisfy { Digest($0.bytes) == $0 && Digest(hex: $0.hex) == $0 })
        #expect(Digest([UInt8](repeating: 0, count: 31)) == nil)
        #expect(Digest(hex: String(repeating: "A", count: 64)) == nil)
    }

    @Test("signs as RFC 8032 says")
    func rfc8032() throws {
        let seed = try #require(Hex.decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
        let key = try SigningKey(seed: seed)
        #expect(key.publicKey.hex == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        let signature = key.signature(for: [])
        #expect(
            Hex.encode(signature)
                == "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
                + "d25bf5f0595bbe24655141438e7a100b"
        )
        #expect(key.publicKey.isValid(signature: signature, for: []))
        #expect(!key.publicKey.isValid(signature: signature, for: [0]))
        #expect(!key.publicKey.isValid(signature: Array(signature.dropLast()), for: []))
        #expect(!"\(key)".contains(Hex.encode(seed)))
        #expect(!String(reflecting: key).contains(Hex.encode(seed)))
    }

    @Test("compares strings of JSON as bytes, not as Unicode")
    func byteEquality() {
        #expect(JSONValue.string("\u{E9}") != .string("e\u{301}"))
        var object: JSONObject = ["\u{E9}": 1, "e\u{301}": 2]
        #expect(object.members.count == 2)
        #expect(object["e\u{301}"] == 2)
        object["e\u{301}"] = nil
        #expect(object.members.count == 1)
    }

    @Test("reads any JSON document of integers, and refuses what is ambiguous")
    func documents() throws {
        let text = #" { "b" : [ true , false , -5 ] , "a" : "\u00e9\ud83d\ude00\/\t" } "#
        let value = try JSONValue(document: Array(text.utf8))
        #expect(value == ["a": "\u{E9}\u{1F600}/\t", "b": [true, false, -5]])
        for refused in [
            #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, "1.5", "1e3", "null", "01", #""\ud800""#, #""\udc00x""#, "[1,]",
            "{,}", "", " ", "[", #"{"a"}"#, "\"\u{1}\"", "99999999999999999999", String(repeating: "[", count: 5000),
        ] {
            #expect(throws: JSONError.self, "\(refused.prefix(20))") { try JSONValue(document: Array(refused.utf8)) }
        }
    }

    @Test("finds addresses in networks")
    func networks() throws {
        let network = try #require(CIDR("192.0.2.0/25"))
        #expect(network.contains(try #require(IPAddress("192.0.2.127"))))
        #expect(!network.contains(try #require(IPAddress("192.0.2.128"))))
        #expect(!network.contains(try #require(IPAddress("2001:db8::1"))))
        let everything = try #require(CIDR("::/0"))
        #expect(everything.contains(try #require(IPAddress("::1"))))
        let narrow = try #require(CIDR("2001:db8:0:1::/65"))
        #expect(narrow.contains(try #require(IPAddress("2001:db8:0:1:7fff::"))))
        #expect(!narrow.contains(try #require(IPAddress("2001:db8:0:1:8000::"))))
    }

    @Test("keeps the right edge of a tree as if all leaves were hashed again")
    func compactRange() {
        func root(_ leaves: ArraySlice<Digest>) -> Digest {
            if leaves.isEmpty { return MerkleTree.emptyRoot }
            if leaves.count == 1 { return leaves[leaves.startIndex] }
            var split = 1
            while split * 2 < leaves.count { split *= 2 }
            let middle = leaves.startIndex + split
            return MerkleTree.nodeHash(root(leaves[..<middle]), root(leaves[middle...]))
        }
        let leaves = (0..<130).map { MerkleTree.leafHash([UInt8($0)]) }
        var range = CompactRange()
        for count in 0...leaves.count {
            #expect(range.size == UInt64(count))
            #expect(range.root == root(leaves[..<count]))
            #expect(CompactRange(size: range.size, hashes: range.hashes) == range)
            #expect(CompactRange(size: range.size, hashes: range.hashes + [.zero]) == nil)
            if count < leaves.count { range.append(leaves[count]) }
        }
    }

    @Test("signs envelopes in ascending order of the key ids")
    func envelopeSigning() throws {
        let keys = try (1...5).map { try SigningKey(seed: [UInt8](repeating: $0, count: 32)) }
        let envelope = Envelope(payload: Array("{}".utf8), signedBy: keys + [keys[0]])
        #expect(envelope.signatures.map(\.keyID) == keys.map(\.keyID).sorted())
        let parsed = try Envelope(leaf: envelope.leaf)
        #expect(parsed == envelope)
        #expect(parsed.id == Digest.sha256(Envelope.pae(Envelope.entryType, Array("{}".utf8))))
        for (keyID, signature) in parsed.signatures {
            let key = try #require(keys.first { $0.keyID == keyID })
            #expect(key.publicKey.isValid(signature: signature, for: parsed.signedBytes))
        }
    }
}
