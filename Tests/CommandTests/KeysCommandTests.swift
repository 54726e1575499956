import Foundation
import TestSupport
import Testing

@Suite("gw-node keys")
struct KeysCommandTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(name))
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    }

    @Test("makes a private file of one hex line and a public one beside it")
    func new() async throws {
        let result = try await GWNode.run(["keys", "new", "a.key", "--json"], in: folder)
        #expect(result.status == 0, "\(result)")
        #expect(try mode("a.key") == 0o600)
        #expect(try mode("a.key.pub") == 0o644)
        let seed = try String(contentsOfFile: folder.path("a.key"), encoding: .utf8)
        let key = try String(contentsOfFile: folder.path("a.key.pub"), encoding: .utf8)
        #expect(seed.count == 65 && seed.hasSuffix("\n"))
        let json = try #require(result.json)
        #expect(Set(json.keys) == ["key_id", "public_key", "file"])
        #expect(json["public_key"] as? String == key.trimmingCharacters(in: .newlines))
        #expect(json["file"] as? String == "a.key")
        #expect(!result.output.contains(seed.dropLast()))
    }

    @Test("derives the public key of RFC 8032, test 1")
    func vector() async throws {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        try folder.write("rfc.key", seed + "\n", mode: 0o600)
        let result = try await GWNode.run(["keys", "show", "rfc.key", "--json"], in: folder)
        #expect(
            result.json?["public_key"] as? String == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "\(result)"
        )
    }

    @Test("never overwrites a key, private or public")
    func exists() async throws {
        _ = try await GWNode.run(["keys", "new", "a.key"], in: folder)
        let before = try String(contentsOfFile: folder.path("a.key"), encoding: .utf8)
        let again = try await GWNode.run(["keys", "new", "a.key", "--json"], in: folder)
        #expect(again.status == 1, "\(again)")
        #expect(again.json?["code"] as? String == "file.exists")
        #expect(try String(contentsOfFile: folder.path("a.key"), encoding: .utf8) == before)

        try folder.write("b.key.pub", "mine\n")
        let beside = try await GWNode.run(["keys", "new", "b.key"], in: folder)
        #expect(beside.status == 1, "\(beside)")
        #expect(!folder.names.contains("b.key"), "half a key pair was left: \(folder.names)")
        #expect(try String(contentsOfFile: folder.path("b.key.pub"), encoding: .utf8) == "mine\n")
    }

    @Test("refuses a private key that others can read", arguments: [0o644, 0o640, 0o604, 0o620])
    func permissions(mode: Int) async throws {
        try folder.write("a.key", String(repeating: "ab", count: 32) + "\n", mode: mode)
        let result = try await GWNode.run(["keys", "show", "a.key"], in: folder)
        #expect(result.status == 78, "\(result)")
        #expect(result.errors.contains("chmod 600 a.key"))
    }

    @Test(
        "says what is wrong with a file that is no key",
        arguments: [
            "", "abc\n", String(repeating: "AB", count: 32) + "\n", String(repeating: "ab", count: 32) + "\n\n",
            String(repeating: "ab", count: 31) + "zz\n", String(repeating: "ab", count: 33) + "\n", "\u{0}\u{1}",
        ]
    )
    func malformed(text: String) async throws {
        try folder.write("a.key", text, mode: 0o600)
        let result = try await GWNode.run(["keys", "show", "a.key", "--json"], in: folder)
        #expect(result.status == 78, "\(result)")
        #expect(result.json?["code"] as? String == "key.malformed")
        #expect(result.errors.contains("a.key"))
    }

    @Test("says that a file is missing, or a folder, or that its folder is")
    func places() async throws {
        let missing = try await GWNode.run(["keys", "show", "nothing.key"], in: folder)
        #expect(missing.status == 78 && missing.errors.contains("nothing.key does not exist"), "\(missing)")
        let isFolder = try await GWNode.run(["keys", "show", "."], in: folder)
        #expect(isFolder.status == 78 && isFolder.errors.contains("cannot be read"), "\(isFolder)")
        let nowhere = try await GWNode.run(["keys", "new", "no/such/folder/a.key"], in: folder)
        #expect(nowhere.status == 78 && nowhere.errors.contains("cannot be written"), "\(nowhere)")
    }
}
