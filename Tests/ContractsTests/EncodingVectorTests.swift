import Contracts
import TestSupport
import Testing

/// The vectors of `fixtures/vectors`.
@Suite("Encodings")
struct EncodingVectorTests {
    @Test(
        "takes exactly the payload profile, and writes what it took",
        arguments: VectorCase.all("json-profile", members: ["name", "hex", "accepted"])
    )
    func payloadProfile(_ vector: VectorCase) throws {
        let bytes = try #require(vector.bytes("hex"))
        let value = try? JSONValue(canonical: bytes)
        #expect((value != nil) == vector.isAccepted)
        if let value {
            #expect(value.canonical == bytes)
            #expect(try JSONValue(document: bytes) == value)
        }
    }

    @Test(
        "takes exactly the text grammars",
        arguments: VectorCase.all("grammar", members: ["type", "text", "accepted"])
    )
    func grammar(_ vector: VectorCase) {
        let text = vector.text("text")
        let accepted: Bool? =
            switch vector.text("type") {
            case "label": Grammar.isLabel(text)
            case "name": Grammar.isName(text)
            case "host": Grammar.isHost(text)
            case "whost": Grammar.isWildcardHost(text)
            case "ip4": Grammar.isIPv4(text)
            case "ip6": Grammar.isIPv6(text)
            case "cidr": CIDR(text) != nil
            case "dec": Grammar.isDecimal(text)
            case "origin": Grammar.isOrigin(text)
            case "path": Grammar.isPathPrefix(text)
            default: nil
            }
        #expect(accepted == vector.isAccepted)
        if vector.text("type") == "cidr", let network = CIDR(text) { #expect(network.description == text) }
    }

    @Test(
        "judges signatures at the edges of E1 to E4",
        arguments: VectorCase.all("signatures", members: ["name", "key", "message", "signature", "accepted"])
    )
    func signatures(vector: VectorCase) throws {
        let key = PublicKey(hex: vector.text("key"))
        let message = try #require(vector.bytes("message"))
        let signature = try #require(vector.bytes("signature"))
        #expect((key?.isValid(signature: signature, for: message) ?? false) == vector.isAccepted)
    }

    @Test("takes exactly canonical base64", arguments: VectorCase.all("base64", members: ["text", "hex"]))
    func base64(_ vector: VectorCase) {
        let text = vector.text("text")
        #expect(Base64.decode(text) == vector.bytes("hex"))
        if let bytes = vector.bytes("hex") { #expect(Base64.encode(bytes) == text) }
    }

    @Test(
        "refuses low-order and non-canonical keys",
        arguments: VectorCase.all("public-keys", members: ["name", "hex", "accepted"])
    )
    func publicKeys(_ vector: VectorCase) {
        let key = PublicKey(hex: vector.text("hex"))
        #expect((key != nil) == vector.isAccepted)
        #expect(vector.bytes("hex").flatMap { PublicKey($0) } == key)
        if let key { #expect(key.hex == vector.text("hex")) }
    }

    @Test(
        "takes exactly canonical policies",
        arguments: VectorCase.all("policy", members: ["name", "text", "accepted", "k", "members"])
    )
    func policies(_ vector: VectorCase) throws {
        let policy = WitnessPolicy(vector.text("text"))
        #expect((policy != nil) == vector.isAccepted)
        guard let policy else { return }
        #expect(policy.text == vector.text("text"))
        switch policy.quorum {
        case .none:
            #expect(vector.integer("k") == 0)
        case .of(let k, let members):
            #expect(vector.integer("k") == k)
            #expect(vector.integer("members") == members.count)
        }
    }

    @Test(
        "takes exactly log envelopes, and writes what it took",
        arguments: VectorCase.all("envelope", members: ["name", "text", "accepted"])
    )
    func envelopes(_ vector: VectorCase) {
        let leaf = Array(vector.text("text").utf8)
        let envelope = try? Envelope(leaf: leaf)
        #expect((envelope != nil) == vector.isAccepted)
        if let envelope { #expect(envelope.leaf == leaf) }
    }
}
