import Foundation
import Testing

@Suite("Visitors who send junk meet a deadline and a plain answer", .serialized, .sharesOneScene)
struct JunkVisitors {
    @Test(
        "bad requests are refused with a plain sentence and never reach the workload",
        arguments: [
            ("two Hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", 400),
            ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
            ("junk", "\u{1}\u{2}\u{3}\r\n\r\n", 400),
            ("two lengths", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
            (
                "length and chunked",
                "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
            ),
            ("folded field", "GET / HTTP/1.1\r\nHost: HOST\r\nX-A: b\r\n c\r\n\r\n", 400),
            ("space before colon", "GET / HTTP/1.1\r\nHost : HOST\r\n\r\n", 400),
            ("huge head", "GET / HTTP/1.1\r\nHost: HOST\r\nX: 40000-LETTERS\r\n\r\n", 431),
            ("version 3", "GET / HTTP/3.0\r\nHost: HOST\r\n\r\n", 505),
        ]
    )
    func badRequests(name: String, request: String, status: Int) async throws {
        let scene = try #require(SharedScene.current)
        let visitor = try await Visitor(scene.gateway.address, scene.gateway.http)
        let letters = String(repeating: "a", count: 40_000)
        try await visitor.send(request.replacing("HOST", with: scene.host).replacing("40000-LETTERS", with: letters))
        let bytes = try? await visitor.readToEnd(within: .seconds(15))
        let text = String(decoding: bytes ?? visitor.received, as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(name): \(text.prefix(200))")
        #expect(!text.contains("a private page"))
    }

    @Test("half a request, half a ClientHello, or nothing at all ends by itself", .timeLimit(.minutes(2)))
    func silence() async throws {
        let scene = try #require(SharedScene.current)
        let half = try await Visitor(scene.gateway.address, scene.gateway.http)
        try await half.send("GET / HTTP/1.1\r\nHo")
        let hello = try await Visitor(scene.gateway.address, scene.gateway.https)
        try await hello.send([0x16, 3, 1, 0x02, 0x00, 1, 0, 0x01])
        let silent = try await Visitor(scene.gateway.address, scene.gateway.https)

        let answer = String(decoding: try await half.readToEnd(within: .seconds(30)), as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
        for visitor in [hello, silent] {
            _ = try? await visitor.readToEnd(within: .seconds(30))
            #expect(visitor.isEnded)
            // No more than an alert of TLS.
            #expect(visitor.received.count < 16)
        }
        #expect(await scene.page()?.status == 200)
    }

    @Test("TLS for a name without a contract, and bytes that are no TLS, are refused and nothing else is disturbed")
    func strangersOnTLS() async throws {
        let scene = try #require(SharedScene.current)
        let visitor = try await Visitor(scene.gateway.address, scene.gateway.https)
        try await visitor.send("GET / HTTP/1.1\r\nHost: \(scene.host)\r\n\r\n")
        let bytes = (try? await visitor.readToEnd(within: .seconds(15))) ?? visitor.received
        #expect(visitor.isEnded)
        #expect(!String(decoding: bytes, as: UTF8.self).contains("private"))
        #expect(await scene.page()?.status == 200)
    }
}
