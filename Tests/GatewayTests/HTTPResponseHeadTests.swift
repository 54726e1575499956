import Testing

@testable import Gateway

private func parse(_ text: String, toHead: Bool = false) -> ResponseHeadParser.Result {
    var parser = ResponseHeadParser()
    return parser.parse(Array(text.utf8).span, toHead: toHead)
}

private func complete(_ text: String, toHead: Bool = false) -> ResponseHead? {
    if case .complete(let head) = parse(text, toHead: toHead) { return head }
    return nil
}

@Suite("Response heads")
struct HTTPResponseHeadTests {
    @Test(
        "knows how a body is framed and whether the workload's connection stays open",
        arguments: [
            ("200 OK\r\nContent-Length: 5\r\n", false, BodyFraming.length(5), true),
            ("200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n", false, .length(5), true),
            ("200\r\nContent-Length: 0\r\n", false, .none, true),
            ("200 \r\nTransfer-Encoding: Chunked\r\n", false, .chunked, true),
            ("200 OK\r\n", false, .untilClose, false),
            ("200 OK\r\nConnection: close\r\nContent-Length: 1\r\n", false, .length(1), false),
            ("200 OK\r\nContent-Length: 5\r\n", true, .none, true),
            ("200 OK\r\n", true, .none, true),
            ("204 No Content\r\n", false, .none, true),
            ("304 Not Modified\r\nContent-Length: 5\r\n", false, .none, true),
            ("304 Not Modified\r\nTransfer-Encoding: chunked\r\n", false, .none, true),
            ("100 Continue\r\n", false, .none, true),
            ("103 Early Hints\r\nLink: </a>\r\n", false, .none, true),
            ("101 Switching Protocols\r\nUpgrade: x\r\n", false, .none, true),
        ] as [(String, Bool, BodyFraming, Bool)]
    )
    func framing(_ rest: String, _ toHead: Bool, _ framing: BodyFraming, _ keepsAlive: Bool) throws {
        let head = try #require(complete("HTTP/1.1 \(rest)\r\n", toHead: toHead))
        #expect(head.framing == framing)
        #expect(head.keepsAlive == keepsAlive)
    }

    @Test("takes HTTP/1.0 as closing unless it says otherwise")
    func old() throws {
        #expect(try #require(complete("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n")).keepsAlive == false)
        #expect(
            try #require(complete("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n")).keepsAlive
        )
    }

    @Test(
        "refuses answers that two readers could understand in two ways",
        arguments: [
            ("HTTP/2 200 OK\r\n\r\n", HeadFailure.malformed), ("HTTP/1.1 20 OK\r\n\r\n", .malformed),
            ("HTTP/1.1  200 OK\r\n\r\n", .malformed), ("HTTP/1.1 2000 OK\r\n\r\n", .malformed),
            ("HTTP/1.1 099 OK\r\n\r\n", .malformed), ("HTTP/1.1 200 OK\n\n\n\n\n", .malformed),
            ("HTTP/1.1 200 O\u{0}K\r\n\r\n", .malformed), ("HTTP/1.1 200 O\rK\r\n\r\n", .malformed),
            ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .malformed), ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .malformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .malformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", .malformed),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .coding),
            ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .malformed),
            ("ICY 200 OK\r\n\r\n", .malformed), ("<html>", .malformed),
        ] as [(String, HeadFailure)]
    )
    func refuses(_ text: String, _ failure: HeadFailure) {
        #expect(parse(text) == .failed(failure))
    }

    @Test("answers the same wherever the head is cut")
    func cuts() {
        let bytes = Array("HTTP/1.1 404 Not Found\r\nA: b\r\nContent-Length: 9\r\n\r\n".utf8)
        var parser = ResponseHeadParser()
        for count in 0..<bytes.count {
            #expect(
                parser.parse(bytes.span.extracting(0..<count), toHead: false) == .incomplete,
                "after \(count) bytes"
            )
        }
        var isComplete = false
        if case .complete = parser.parse(bytes.span, toHead: false) { isComplete = true }
        #expect(isComplete)
    }
}
