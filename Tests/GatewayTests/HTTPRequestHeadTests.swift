import TestSupport
import Testing

@testable import Gateway

/// Parses text as a request head and returns what it says as text.
private func parse(_ text: String, limit: Int = 16_384) -> RequestHeadParser.Result {
    var parser = RequestHeadParser(limit: limit)
    return parser.parse(Array(text.utf8).span)
}

private func complete(_ text: String) -> RequestHead? {
    if case .complete(let head) = parse(text) { return head }
    return nil
}

private func slice(_ text: String, _ range: Range<Int>) -> String {
    String(decoding: Array(text.utf8)[range], as: UTF8.self)
}

/// A request line that is fine, for cases about fields.
private let line = "GET / HTTP/1.1\r\n"

@Suite("Request heads")
struct HTTPRequestHeadTests {
    @Test(
        "accepts what RFC 9112 allows",
        arguments: [
            "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a.example\r\n\r\n",
            "get /x HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "M-SEARCH /x HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET /a?b=c&d={e}|f\"^` HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET //a//b/../c?x?y HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET HTTP://a.example HTTP/1.1\r\nHost: b.example\r\n\r\n",
            "GET https://a.example?x HTTP/1.1\r\nHost: b.example\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:a.example\r\n\r\n",
            "GET / HTTP/1.1\r\nHOST: \t a.example \t\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: A.Example.:8080\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a_b.example\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\nEmpty:\r\nEmpty2: \r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\nX: a\tb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\nX: \u{FC}mlaut\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\nCookie: a\r\nCookie: b\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 999999999999999999\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding:\tCHUNKED \r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close, TE, x-hop\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: , ,close,\r\n\r\n",
        ]
    )
    func accepts(_ text: String) {
        #expect(complete(text) != nil, "\(parse(text))")
    }

    @Test(
        "refuses what two readers could understand in two ways",
        arguments: [
            // Request line
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadFailure.malformed),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .malformed),
            (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET /\r\n\r\n", .malformed),
            ("GET / HTTP/1.1\nHost: a\n\n", .malformed),
            ("GET / HTTP/1.1\rHost: a\r\n\r\n", .malformed),
            ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("\u{E9}GET / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET /\u{E9} HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET /\u{7F} HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET http:/a/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET http://a/ HTTP/1.1\r\nHost: b b\r\n\r\n", .malformed),
            ("GET http://a/ HTTP/1.1\r\n\r\n", .malformed),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", .method),
            ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", .method),
            // Version
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .version),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .version),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", .version),
            ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", .version),
            ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", .malformed),
            ("GET / HTTP/11\r\nHost: a\r\n\r\n", .malformed),
            ("GET / HTTP/1,1\r\nHost: a\r\n\r\n", .malformed),
            ("GET / http/1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", .malformed),
            ("GET / HTTP/x.1\r\nHost: a\r\n\r\n", .malformed),
            // Host
            (line + "\r\n", .malformed),
            (line + "Host: a\r\nHost: a\r\n\r\n", .malformed),
            (line + "Host: a\r\nhost: b\r\n\r\n", .malformed),
            (line + "Host:\r\n\r\n", .malformed),
            (line + "Host: a b\r\n\r\n", .malformed),
            (line + "Host: a,b\r\n\r\n", .malformed),
            (line + "Host: a/b\r\n\r\n", .malformed),
            (line + "Host: u@a\r\n\r\n", .malformed),
            (line + "Host: a:x\r\n\r\n", .malformed),
            (line + "Host: a:65536\r\n\r\n", .malformed),
            (line + "Host: a:80:80\r\n\r\n", .malformed),
            (line + "Host: [::1\r\n\r\n", .malformed),
            (line + "Host: [x]\r\n\r\n", .malformed),
            (line + "Host: .\r\n\r\n", .malformed),
            (line + "Host: .a\r\n\r\n", .malformed),
            (line + "Host: \u{E9}\r\n\r\n", .malformed),
            ("GET / HTTP/1.0\r\n\r\n", .malformed),
            // Field lines
            (line + "Host : a\r\n\r\n", .malformed),
            (line + " Host: a\r\n\r\n", .malformed),
            (line + "Host: a\r\n X: folded\r\n\r\n", .malformed),
            (line + "Host: a\r\n\tfolded\r\n\r\n", .malformed),
            (line + "Host: a\r\nX: b\r\n folded\r\n\r\n", .malformed),
            (line + "Host: a\r\nno colon\r\n\r\n", .malformed),
            (line + "Host: a\r\n: x\r\n\r\n", .malformed),
            (line + "Host: a\r\nX\u{0}: x\r\n\r\n", .malformed),
            (line + "Host: a\r\nX(: x\r\n\r\n", .malformed),
            (line + "Host: a\r\nX: a\u{0}b\r\n\r\n", .malformed),
            (line + "Host: a\r\nX: a\u{7F}b\r\n\r\n", .malformed),
            (line + "Host: a\r\nX: a\u{1}b\r\n\r\n", .malformed),
            (line + "Host: a\r\nX: a\nY: b\r\n\r\n", .malformed),
            (line + "Host: a\r\nX: a\rY: b\r\n\r\n", .malformed),
            (line + "Host: a\r\nX: a\r\n\n", .malformed),
            (line + "Host: a\r\nX: a\n\r\n\r\n", .malformed),
            (line + "Host: a\r\n\rX: a\r\n\r\n", .malformed),
            // Framing
            (line + "Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 5, 5\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: +5\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: -5\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 0x5\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 5 5\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 5;\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length:\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 1e3\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 18446744073709551621\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: \u{662}\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length : 5\r\n\r\n", .malformed),
            (line + "Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed),
            (line + "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", .malformed),
            (line + "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", .malformed),
            (line + "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed),
            (line + "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: identity\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding:\r\n\r\n", .coding),
            (line + "Host: a\r\nTransfer-Encoding: \u{B}chunked\r\n\r\n", .malformed),
            (line + "Host: a\r\nTransfer-Encoding : chunked\r\n\r\n", .malformed),
            ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed),
            (line + "Host: a\r\nExpect: 200-ok\r\n\r\n", .expectation),
        ] as [(String, HeadFailure)]
    )
    func refuses(_ text: String, _ failure: HeadFailure) {
        #expect(parse(text) == .failed(failure))
    }

    @Test("says where the parts of a head are")
    func offsets() throws {
        let text = "POST /p/q?r HTTP/1.1\r\nHost: Shop.Example:81\r\nA: b\r\nContent-Length: 7\r\n\r\nignored"
        let head = try #require(complete(text))
        #expect(slice(text, head.method) == "POST")
        #expect(slice(text, head.origin) == "/p/q?r")
        #expect(slice(text, head.path) == "/p/q")
        #expect(slice(text, head.authority) == "Shop.Example:81")
        #expect(slice(text, head.host) == "Shop.Example")
        #expect(head.length == text.utf8.count - 7)
        #expect(head.framing == .length(7))
        #expect(head.keepsAlive)
        #expect(!head.isReplayable)
    }

    @Test("lets the authority of an absolute target replace the Host field")
    func absolute() throws {
        let text = "GET http://B.example:9?q HTTP/1.1\r\nHost: a.example\r\n\r\n"
        let head = try #require(complete(text))
        #expect(slice(text, head.authority) == "B.example:9")
        #expect(slice(text, head.host) == "B.example")
        #expect(slice(text, head.origin) == "?q")
        #expect(head.path.isEmpty)
    }

    @Test(
        "knows whether the connection stays open",
        arguments: [
            ("HTTP/1.1\r\n", true), ("HTTP/1.1\r\nConnection: close\r\n", false),
            ("HTTP/1.1\r\nConnection: x\r\nConnection: y, CLOSE\r\n", false), ("HTTP/1.0\r\n", false),
            ("HTTP/1.0\r\nConnection: Keep-Alive\r\n", true), ("HTTP/1.0\r\nConnection: keep-alive, close\r\n", false),
        ]
    )
    func keepAlive(_ rest: String, _ expected: Bool) throws {
        #expect(try #require(complete("GET / \(rest)Host: a\r\n\r\n")).keepsAlive == expected)
    }

    @Test(
        "passes on an upgrade only when it is whole, and never to HTTP/2",
        arguments: [
            ("HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", true),
            ("HTTP/1.1\r\nConnection: keep-alive, upgrade\r\nUpgrade: websocket\r\n", true),
            ("HTTP/1.1\r\nUpgrade: websocket\r\n", false), ("HTTP/1.1\r\nConnection: upgrade\r\n", false),
            ("HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", false),
            ("HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", false),
            ("HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket, H2C\r\n", false),
            ("HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: HTTP/2.0\r\n", false),
            ("HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", false),
            ("HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", false),
        ]
    )
    func upgrade(_ rest: String, _ expected: Bool) throws {
        #expect(try #require(complete("GET / \(rest)Host: a\r\n\r\n")).wantsUpgrade == expected)
    }

    @Test("answers the same wherever the head is cut")
    func cuts() {
        let text = "\r\nPOST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nX: \t y\r\n\r\n"
        let bytes = Array(text.utf8)
        var parser = RequestHeadParser()
        for count in 0..<bytes.count {
            #expect(parser.parse(bytes.span.extracting(0..<count)) == .incomplete, "after \(count) bytes")
        }
        #expect(parser.parse(bytes.span) == parse(text + "more"))
    }

    @Test("refuses a head above the limit, at the limit's byte and not later", arguments: [64, 100, 16_384])
    func limit(_ limit: Int) {
        let prefix = "GET / HTTP/1.1\r\nHost: a\r\nX: "
        let fits = prefix + String(repeating: "x", count: limit - prefix.utf8.count - 4) + "\r\n\r\n"
        #expect(fits.utf8.count == limit)
        var isComplete = false
        if case .complete = parse(fits, limit: limit) { isComplete = true }
        #expect(isComplete)
        let over = prefix + String(repeating: "x", count: limit - prefix.utf8.count)
        #expect(parse(over, limit: limit) == .failed(.tooLarge))
        #expect(parse(String(over.dropLast()), limit: limit) == .incomplete)
        #expect(parse("GET /" + String(repeating: "a", count: limit), limit: limit) == .failed(.tooLarge))
    }

    @Test("refuses more fields than the limit, and more named fields in Connection than it compares")
    func counts() {
        let fields = { (count: Int) in line + "Host: a\r\n" + String(repeating: "a:b\r\n", count: count) + "\r\n" }
        #expect(complete(fields(127)) != nil)
        #expect(parse(fields(128)) == .failed(.tooLarge))
        let options = { (count: Int) in
            line + "Host: a\r\nConnection: " + String(repeating: "x,", count: count) + "\r\n\r\n"
        }
        #expect(complete(options(32)) != nil)
        #expect(parse(options(33)) == .failed(.tooLarge))
    }

    @Test("never traps and never reads two ways on random bytes", arguments: [1, 2, 3, 4] as [UInt64])
    func fuzz(seed: UInt64) {
        print("seed \(seed)")
        var random = SplitMix64(seed: seed)
        let pieces = [
            "GET", " ", "/", " HTTP/1.1", "\r\n", "\n", "\r", "Host", ":", " a", "Content-Length", "1",
            "Transfer-Encoding",
            "chunked", ",", "\t", "\0", "Connection", "close", "Upgrade", "\u{FF}", "[", "::1", "]", "*", "http://",
            "?",
        ]
        var parser = RequestHeadParser(limit: 200)
        for _ in 0..<4000 {
            var text = random.below(2) == 0 ? "GET / HTTP/1.1\r\nHost: a\r\n" : ""
            for _ in 0..<random.below(24) { text += pieces[random.below(pieces.count)] }
            if random.below(2) == 0 { text += "\r\n\r\n" }
            let bytes = Array(text.utf8)
            let whole = parser.parse(bytes.span)
            // A verdict that a prefix gets is the verdict of the whole.
            for count in 0..<bytes.count {
                let early = parser.parse(bytes.span.extracting(0..<count))
                if early != .incomplete { #expect(early == whole, "\(text.debugDescription) cut at \(count)") }
            }
        }
    }
}
