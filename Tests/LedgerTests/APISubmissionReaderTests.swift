import Contracts
import TestSupport
import Testing

@testable import Ledger

@Suite("SubmissionReader")
struct APISubmissionReaderTests {
    private static let keyID = String(repeating: "ab", count: 32)
    private static let signature = Base64.encode(Array(repeating: 9, count: 64))

    /// A body around the raw JSON of each member.
    private static func body(
        payload: String = #""e30=""#,
        type: String = #""text/plain""#,
        signatures: String = "[]",
        before: String = "",
        after: String = ""
    ) -> [UInt8] {
        Array(#"{\#(before)"payload":\#(payload),"payloadType":\#(type),"signatures":\#(signatures)}\#(after)"#.utf8)
    }

    static let accepted: [(String, [UInt8], [UInt8])] = [
        ("an empty payload", body(payload: #""""#), []),
        ("padding left out", body(payload: #""e30""#), Array("{}".utf8)),
        ("the URL-safe alphabet", body(payload: #""-_-_""#), [0xFB, 0xFF, 0xBF]),
        ("both alphabets at once", body(payload: #""-/+_""#), [0xFB, 0xFF, 0xBF]),
        ("escapes in a value", body(payload: #""\u00653\u0030\u003d""#), Array("{}".utf8)),
        ("escapes in a name", body(before: #""\u0078":1,"#), Array("{}".utf8)),
        ("numbers of every form", body(before: #""x":[0,-0,1,10,-1.5,1e9,1E+9,2.50e-3],"#), Array("{}".utf8)),
        ("literals and nested values", body(before: #""x":{"a":[true,false,null,{}],"b":""},"#), Array("{}".utf8)),
        ("a surrogate pair", body(before: #""x":"\ud83d\ude00","#), Array("{}".utf8)),
        (
            "white space everywhere",
            Array(" {\t\"payload\" :\r\n\"e30=\" , \"payloadType\":\"a/b\",\"signatures\":[ ] } ".utf8),
            Array("{}".utf8)
        ),
    ]

    @Test("reads", arguments: accepted)
    func accepts(name: String, body: [UInt8], payload: [UInt8]) throws {
        #expect(try SubmissionReader.read(body).envelope.payload == payload)
    }

    static let refused: [(String, [UInt8])] = [
        ("base64 with leftover bits", body(payload: #""e31=""#)),
        ("base64 with a line break", body(payload: #""e3\n0=""#)),
        ("too much padding", body(payload: #""e30==""#)),
        ("a payload that is a number", body(payload: "1")),
        ("a type with a space", body(type: #""a b""#)),
        ("a type with a quote", body(type: #""a\"b""#)),
        ("an empty type", body(type: #""""#)),
        ("a member given twice under an escape", body(before: #""p\u0061yload":"","#)),
        ("an unknown member given twice", body(before: #""x":1,"x":1,"#)),
        ("a keyid in upper case", body(signatures: #"[{"keyid":"\#(keyID.uppercased())","sig":"\#(signature)"}]"#)),
        ("no keyid", body(signatures: #"[{"sig":"\#(signature)"}]"#)),
        ("an empty sig", body(signatures: #"[{"keyid":"\#(keyID)","sig":""}]"#)),
        (
            "a key that signs twice",
            body(
                signatures:
                    #"[{"keyid":"\#(keyID)","sig":"\#(signature)"},{"keyid":"\#(keyID)","sig":"\#(signature)"}]"#
            )
        ),
        ("a number with a leading zero", body(before: #""x":01,"#)),
        ("a number with a bare point", body(before: #""x":1.,"#)),
        ("a plus sign", body(before: #""x":+1,"#)),
        ("a word that is no literal", body(before: #""x":nul,"#)),
        ("a comma too much", body(before: ",")),
        ("half a surrogate pair", body(before: #""x":"\ude00","#)),
        ("a surrogate pair with a letter between", body(before: #""x":"\ud83da\ude00","#)),
        ("an escape of three digits", body(before: #""x":"\u004","#)),
        ("an unknown escape", body(before: #""x":"\x41","#)),
        ("a control character in a string", body(before: "\"x\":\"\u{1}\",")),
        (
            "a string that is not UTF-8",
            Array(#"{"x":""#.utf8) + [0xFF] + Array(#"","payload":"","payloadType":"a","signatures":[]}"#.utf8)
        ),
        ("a second value behind it", body(after: "{}")),
        ("a BOM in front", [0xEF, 0xBB, 0xBF] + body()),
    ]

    @Test("refuses", arguments: refused)
    func refuses(name: String, body: [UInt8]) {
        #expect(throws: SubmissionReader.Malformed.self) { try SubmissionReader.read(body) }
    }

    @Test("sorts signatures into the order of the log, 32 at most")
    func signatures() throws {
        let keys = (0..<33).map { Digest.sha256([UInt8($0)]).hex }
        func body(_ keys: some Sequence<String>) -> [UInt8] {
            Self.body(
                signatures: "[" + keys.map { #"{"sig":"\#(Self.signature)","keyid":"\#($0)"}"# }.joined(separator: ",")
                    + "]"
            )
        }
        let envelope = try SubmissionReader.read(body(keys.prefix(32))).envelope
        #expect(envelope.signatures.map(\.keyID.hex) == keys.prefix(32).sorted())
        #expect(throws: SubmissionReader.Malformed.self) { try SubmissionReader.read(body(keys)) }
    }

    @Test("never traps, and what it reads is an envelope of the log", arguments: [1, 2, 3, 4] as [UInt64])
    func mutations(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let signature = #"[{"keyid":"\#(Self.keyID)","sig":"\#(Self.signature)"}]"#
        let original = Self.body(signatures: signature, before: #""x":{"a":[true,"\u0041\n",-1.5e3]},"#)
        let alphabet = Array("{}[]\",:\\u0e+-.tn x".utf8) + [0x00, 0x80, 0xFF]
        for round in 0..<5_000 {
            var bytes = original
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                let index = Int.random(in: bytes.indices, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = alphabet.randomElement(using: &random)!
                case 1: bytes.insert(alphabet.randomElement(using: &random)!, at: index)
                default: bytes.removeSubrange(index..<min(bytes.count, index + Int.random(in: 1..<9, using: &random)))
                }
                if bytes.isEmpty { break }
            }
            guard let envelope = try? SubmissionReader.read(bytes).envelope else { continue }
            let again = try Envelope(leaf: envelope.leaf)
            #expect(again == envelope, "seed \(seed), round \(round)")
        }
    }
}
