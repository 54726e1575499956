import TestSupport
import Testing

@testable import Gateway

/// Feeds a chunked body in pieces and returns what goes on, or nil when it is refused. `end` is what follows the body.
private func chunked(_ text: String, keepsFraming: Bool = true, pieces: [Int] = []) -> (passed: String, end: String)? {
    let bytes = Array(text.utf8)
    var body = BodyReader(.chunked, keepsFraming: keepsFraming)
    var passed: [UInt8] = []
    var held: [UInt8] = []
    var start = 0
    for cut in pieces + [bytes.count] {
        held += bytes[start..<cut]
        start = cut
        var offset = 0
        loop: while offset < held.count {
            switch body.next(held.span, from: offset) {
            case .pass(let end):
                passed += held[offset..<end]
                offset = end
            case .drop(let end): offset = end
            case .trailers:
                switch Trailers.forward(held.span, from: offset, to: &passed) {
                case .incomplete: break loop
                case .failed: return nil
                case .end(let end):
                    body.endTrailers()
                    offset = end
                }
            case .end:
                return (
                    String(decoding: passed, as: UTF8.self),
                    String(decoding: held[offset...] + bytes[start...], as: UTF8.self)
                )
            case .failed: return nil
            }
        }
        held.removeFirst(offset)
    }
    return body.hasEnded
        ? (String(decoding: passed, as: UTF8.self), String(decoding: held, as: UTF8.self)) : ("", "incomplete")
}

@Suite("Message bodies")
struct HTTPBodyTests {
    @Test(
        "passes chunks on without extensions, and trailers without fields that do not belong there",
        arguments: [
            ("5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            ("0\r\n\r\n", "0\r\n\r\n"),
            ("00A\r\n0123456789\r\n000\r\n\r\n", "00A\r\n0123456789\r\n000\r\n\r\n"),
            ("a;x\r\n0123456789\r\n0;y=\"z\"\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n"),
            ("1;a=b;c\r\nx\r\n2;\r\nyz\r\n0\r\n\r\n", "1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n"),
            ("0\r\nX-Sum: 1\r\n\r\n", "0\r\nX-Sum: 1\r\n\r\n"),
            ("0\r\nContent-Length: 5\r\nA: b\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nA: b\r\n\r\n"),
            ("0\r\nX-Forwarded-For: 1\r\nConnection: a\r\n\r\n", "0\r\n\r\n"),
        ]
    )
    func passes(_ input: String, _ expected: String) throws {
        let result = try #require(chunked(input + "GET"))
        #expect(result.passed == expected)
        #expect(result.end == "GET")
    }

    @Test(
        "takes the content alone where the framing does not go on",
        arguments: [("5;x\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!")]
    )
    func content(_ input: String, _ expected: String) throws {
        var body = BodyReader(.chunked, keepsFraming: false)
        let bytes = Array(input.utf8)
        var passed: [UInt8] = []
        var offset = 0
        loop: while offset < bytes.count {
            switch body.next(bytes.span, from: offset) {
            case .pass(let end):
                passed += bytes[offset..<end]
                offset = end
            case .drop(let end): offset = end
            default: break loop
            }
        }
        #expect(String(decoding: passed, as: UTF8.self) == expected)
        #expect(offset == bytes.count - 2)
    }

    @Test(
        "refuses chunks that two readers could understand in two ways",
        arguments: [
            "\r\nhello\r\n0\r\n\r\n", "g\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "5\nhello\n0\n\n",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r0\r\n\r\n", "5\r\rhello\r\n", "0x5\r\nhello\r\n", "+5\r\nhello\r\n",
            "-1\r\n",
            "5;a\nhello\r\n", "5;a\r\r\nhello\r\n", "5;\u{0}\r\nhello\r\n", "5;\u{7F}\r\nhello\r\n",
            "5 ;a\r\nhello\r\n",
            "00000000000000005\r\nhello\r\n", "FFFFFFFFFFFFFFFFF\r\n", "FFFFFFFFFFFFFFFF\r\n", "5,5\r\nhello\r\n",
            "0\r\nA b: c\r\n\r\n", "0\r\n A: c\r\n\r\n", "0\r\nA: c\n\r\n", "0\r\nA : c\r\n\r\n", "0\r\nA\r\n\r\n",
            "0\r\n\n",
            "5;" + String(repeating: "a", count: 5000) + "\r\nhello\r\n",
            "0\r\nA: " + String(repeating: "a", count: 9000) + "\r\n\r\n",
        ]
    )
    func refuses(_ input: String) {
        #expect(chunked(input) == nil)
    }

    @Test(
        "refuses a request whose trailers would frame or route it again",
        arguments: ["Content-Length: 5", "Host: x", "Transfer-Encoding: chunked", "Content_Length: 5"]
    )
    func trailers(_ line: String) {
        let bytes = Array("A: b\r\n\(line)\r\n\r\n".utf8)
        var output: [UInt8] = []
        #expect(Trailers.forward(bytes.span, from: 0, isRequest: true, to: &output) == .failed)
        output = []
        #expect(Trailers.forward(bytes.span, from: 0, to: &output) == .end(bytes.count))
        #expect(output == Array("A: b\r\n\r\n".utf8))
    }

    @Test("gives the same bytes wherever a chunked body is cut", arguments: [1, 2, 3] as [UInt64])
    func cuts(seed: UInt64) throws {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        for _ in 0..<300 {
            var text = ""
            for _ in 0..<random.below(5) {
                let count = 1 + random.below(40)
                text += String(count, radix: 16) + (random.below(3) == 0 ? ";e=\(random.below(9))" : "") + "\r\n"
                text += String(repeating: ["x", "0", "\r", "\n"][random.below(4)], count: count) + "\r\n"
            }
            text +=
                "0" + (random.below(3) == 0 ? ";last" : "") + "\r\n" + (random.below(2) == 0 ? "T: v\r\nTE: x\r\n" : "")
                + "\r\n"
            let whole = try #require(chunked(text))
            for cut in 0...text.utf8.count {
                let result = try #require(chunked(text, pieces: [cut]), "cut at \(cut) of \(text.debugDescription)")
                #expect(
                    result.passed == whole.passed && result.end.isEmpty,
                    "cut at \(cut) of \(text.debugDescription)"
                )
            }
            let single = try #require(chunked(text, pieces: Array(0..<text.utf8.count)))
            #expect(single.passed == whole.passed)
        }
    }

    @Test("never traps on a damaged chunked body", arguments: [7, 8] as [UInt64])
    func damage(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let alphabet = Array("0123456789aF;\r\n x=\"".utf8)
        for _ in 0..<5000 {
            let bytes = (0..<random.below(40)).map { _ in alphabet[random.below(alphabet.count)] }
            let text = String(decoding: bytes, as: UTF8.self)
            let whole = chunked(text)
            let cut = chunked(text, pieces: [random.below(bytes.count + 1)].filter { $0 <= bytes.count })
            #expect((whole == nil) == (cut == nil), "\(text.debugDescription)")
        }
    }

    @Test("counts a body with a length, and never more")
    func length() {
        let bytes = [UInt8](repeating: 1, count: 10)
        var body = BodyReader(.length(14))
        #expect(body.next(bytes.span, from: 0) == .pass(10))
        #expect(body.remainingLength == 4)
        #expect(!body.endsWithConnection)
        #expect(body.next(bytes.span, from: 3) == .pass(7))
        #expect(body.hasEnded)
        #expect(body.next(bytes.span, from: 7) == .end)
    }
}
