import Testing

@testable import Gateway

private func forwarded(_ text: String, from address: String = "192.0.2.7") throws -> [String] {
    var parser = RequestHeadParser()
    let bytes = Array(text.utf8)
    guard case .complete(let head) = parser.parse(bytes.span) else {
        Issue.record("not a request: \(text)")
        return []
    }
    var output: [UInt8] = []
    RequestForwarding.append(
        head,
        parser.fields,
        bytes.span,
        visitor: VisitorFields(address: address, port: 8080),
        to: &output
    )
    let result = String(decoding: output, as: UTF8.self)
    #expect(result.utf8.suffix(4).elementsEqual("\r\n\r\n".utf8))
    return result.split(separator: "\r\n").map(String.init)
}

/// The lines that a gateway adds for `shop.example`.
private let added = [
    "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: shop.example", "X-Forwarded-Proto: http", "X-Forwarded-Port: 8080",
    "Forwarded: for=192.0.2.7;host=\"shop.example\";proto=http", "Via: 1.1 webgw",
]

private func answered(
    _ text: String,
    minor: UInt8 = 1,
    keepsAlive: Bool = true,
    toHead: Bool = false
) throws -> [String] {
    var parser = ResponseHeadParser()
    let bytes = Array(text.utf8)
    guard case .complete(let head) = parser.parse(bytes.span, toHead: toHead) else {
        Issue.record("not an answer: \(text)")
        return []
    }
    var output: [UInt8] = []
    let delivery = ResponseDelivery(head, minor: minor, visitorKeepsAlive: keepsAlive)
    ResponseForwarding.append(head, parser.fields, bytes.span, delivery: delivery, to: &output)
    return String(decoding: output, as: UTF8.self).split(separator: "\r\n").map(String.init)
}

@Suite("Forwarded heads")
struct HTTPForwardingTests {
    @Test("passes on end-to-end fields as they came, and says who the visitor is")
    func plain() throws {
        let lines = try forwarded("GET /a?b HTTP/1.1\r\nA: 1\r\nHost: shop.example\r\nCookie:  x=y \r\nb:2\r\n\r\n")
        #expect(lines == ["GET /a?b HTTP/1.1", "Host: shop.example", "A: 1", "Cookie:  x=y ", "b:2"] + added)
    }

    @Test(
        "removes what is for one hop, named or known, and what a visitor has no right to say",
        arguments: [
            "Connection: X-Hop\r\nX-Hop: 1", "Connection: close, x-HOP\r\nx-hop: 1\r\nX-Hop: 2",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive", "Proxy-Authorization: x", "TE: trailers",
            "Upgrade: h2c\r\nHTTP2-Settings: x",
            "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA",
            "Forwarded: for=10.0.0.1", "X-Forwarded-For: 10.0.0.1\r\nX-FORWARDED-FOR: 10.0.0.2",
            "X-Forwarded-Host: evil",
            "X-Forwarded-Proto: https", "X-Forwarded-Port: 1", "X-Forwarded-Server: a", "X-Forwarded-Prefix: /x",
            "X-Real-IP: 10.0.0.1", "Proxy: http://evil", "X_Forwarded_For: 10.0.0.1", "X-Forwarded_For: 10.0.0.1",
            "Content_Length: 5", "Transfer_Encoding: chunked", "x_real_ip: 1",
        ]
    )
    func removes(_ fields: String) throws {
        let lines = try forwarded("GET / HTTP/1.1\r\nHost: shop.example\r\n\(fields)\r\nZ: end\r\n\r\n")
        #expect(lines == ["GET / HTTP/1.1", "Host: shop.example", "Z: end"] + added)
    }

    @Test(
        "never lets Connection remove what frames or routes the message",
        arguments: ["host", "content-length", "x-forwarded-for", "via", "forwarded"]
    )
    func protects(_ name: String) throws {
        let lines = try forwarded(
            "POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\nConnection: \(name)\r\n\r\nabc"
        )
        #expect(lines == ["POST / HTTP/1.1", "Host: shop.example", "Content-Length: 3"] + added)
    }

    @Test("speaks HTTP/1.1 to the workload, whatever the visitor speaks")
    func version() throws {
        let lines = try forwarded("GET / HTTP/1.0\r\nHost: shop.example\r\nExpect: 100-continue\r\n\r\n")
        #expect(lines == ["GET / HTTP/1.1", "Host: shop.example"] + added)
    }

    @Test("frames a chunked body once")
    func chunked() throws {
        let lines = try forwarded("POST / HTTP/1.1\r\nHost: shop.example\r\ntransfer-encoding: CHUNKED\r\n\r\n")
        #expect(lines == ["POST / HTTP/1.1", "Host: shop.example", "Transfer-Encoding: chunked"] + added)
    }

    @Test("passes an upgrade on")
    func upgrade() throws {
        let lines = try forwarded(
            "GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        #expect(
            lines == ["GET /ws HTTP/1.1", "Host: shop.example", "Upgrade: websocket", "Connection: upgrade"] + added
        )
    }

    @Test("sends the authority of an absolute target as Host")
    func absolute() throws {
        let lines = try forwarded("GET http://shop.example?q HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        #expect(lines == ["GET /?q HTTP/1.1", "Host: shop.example"] + added)
    }

    @Test("writes IPv6 visitors as RFC 7239 asks, and keeps earlier Via fields")
    func ipv6() throws {
        let lines = try forwarded(
            "GET / HTTP/1.1\r\nHost: shop.example:80\r\nVia: 1.1 cdn\r\n\r\n",
            from: "2001:db8::1"
        )
        #expect(
            lines == [
                "GET / HTTP/1.1", "Host: shop.example:80", "Via: 1.1 cdn", "X-Forwarded-For: 2001:db8::1",
                "X-Forwarded-Host: shop.example:80", "X-Forwarded-Proto: http", "X-Forwarded-Port: 8080",
                "Forwarded: for=\"[2001:db8::1]\";host=\"shop.example:80\";proto=http", "Via: 1.1 webgw",
            ]
        )
    }

    @Test("removes the workload's hop-by-hop fields and says its own")
    func response() throws {
        let lines = try answered(
            "HTTP/1.1 200 Fine\r\nA: b\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 3\r\n\r\nabc"
        )
        #expect(lines == ["HTTP/1.1 200 Fine", "A: b", "Content-Length: 3"])
    }

    @Test("tells the visitor when the connection closes")
    func closing() throws {
        #expect(
            try answered("HTTP/1.0 200 OK\r\nA: b\r\n\r\n") == ["HTTP/1.1 200 OK", "A: b", "Connection: close"]
        )
        #expect(
            try answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", minor: 0)
                == ["HTTP/1.1 200 OK", "Content-Length: 0", "Connection: keep-alive"]
        )
        #expect(
            try answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", minor: 0)
                == ["HTTP/1.1 200 OK", "Connection: close"]
        )
        #expect(
            try answered("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n")
                == ["HTTP/1.1 200 ", "Transfer-Encoding: chunked"]
        )
    }

    @Test("keeps the length of an answer to HEAD, and drops one that must not be there")
    func lengths() throws {
        #expect(
            try answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", toHead: true)
                == ["HTTP/1.1 200 OK", "Content-Length: 5"]
        )
        #expect(
            try answered("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n") == ["HTTP/1.1 204 No Content"]
        )
    }

    @Test("answers a visitor in one sentence with the status of its kind", arguments: Failure.allCases)
    func failures(_ failure: Failure) {
        var output: [UInt8] = []
        failure.append(toHead: false, keepsAlive: false, minor: 1, to: &output)
        var parser = ResponseHeadParser()
        guard case .complete(let head) = parser.parse(output.span, toHead: false) else {
            Issue.record("not an answer")
            return
        }
        #expect(head.status == failure.status)
        #expect(head.framing == .length(UInt64(output.count - head.length)))
        #expect(!head.keepsAlive)
        var empty: [UInt8] = []
        failure.append(toHead: true, keepsAlive: true, minor: 1, to: &empty)
        #expect(empty.suffix(4) == [13, 10, 13, 10])
    }
}
