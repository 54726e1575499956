import Contracts
import Testing

@testable import Gateway

private let head = "Host: \(FrontWorld.host)\r\n"

@Suite("HTTP through a gateway and an agent", .serialized)
struct FrontHTTPTests {
    @Test("serves many requests on one connection, over one connection to the workload")
    func keepAlive() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let texts = await blocking {
            guard let socket = try? TestSocket(connectingTo: address) else { return [String]() }
            return (0..<50).map { index in
                socket.say("GET /\(index) HTTP/1.1\r\n\(head)\r\n")
                let answer = socket.message()
                return "\(answer?.status ?? 0) \(answer?.text ?? "") \(answer?.field("x-line") ?? "")"
            }
        }
        #expect(texts == (0..<50).map { "200 page: GET /\($0) HTTP/1.1" })
        #expect(server.connections == 1)
        await world.stop()
    }

    @Test("answers pipelined requests in order, however the bytes are cut")
    func pipelining() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let answers = await blocking {
            guard let socket = try? TestSocket(connectingTo: address) else { return [String]() }
            var text = ""
            for index in 0..<20 {
                text += index % 3 == 0 ? "POST /\(index) HTTP/1.1\r\n\(head)Content-Length: 3\r\n\r\nabc" : ""
                text +=
                    index % 3 == 1
                    ? "POST /\(index) HTTP/1.1\r\n\(head)Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
                    : ""
                text += index % 3 == 2 ? "GET /\(index) HTTP/1.1\r\n\(head)\r\n" : ""
            }
            let bytes = Array(text.utf8)
            startThread {
                for start in stride(from: 0, to: bytes.count, by: 7) {
                    socket.write(Array(bytes[start..<min(start + 7, bytes.count)]))
                }
            }
            return (0..<20).map { _ in
                let answer = socket.message()
                return "\(answer?.text ?? "-") \(answer?.field("x-line")?.split(separator: " ")[1] ?? "")"
            }
        }
        #expect(answers == (0..<20).map { $0 % 3 == 2 ? "page: /\($0)" : "page:abc /\($0)" })
        await world.stop()
    }

    @Test("answers with the status and sentence of its kind when the workload is not reached")
    func refusals() async throws {
        let server = try TestServer.page()
        let dead = try TestServer.page().address
        let world = try await FrontWorld(["web": server.address, "dead": dead]) {
            [
                $0.http(), $0.http("dead.gw.example.org", expose: "dead"),
                $0.http("none.gw.example.org", expose: "none"),
                $0.http("denied.gw.example.org", expose: "web2", deny: [CIDR("127.0.0.0/8")!]),
            ]
        }
        let address = world.http
        let ask: @Sendable (String) async -> Int = { text in
            await blocking {
                guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
                socket.say(text)
                let answer = socket.message()
                return answer?.isWhole == true ? answer?.status ?? 0 : 0
            }
        }
        #expect(await ask("GET / HTTP/1.1\r\n\(head)\r\n") == 200)
        #expect(await ask("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n") == 404)
        #expect(await ask("GET / HTTP/1.1\r\nHost: dead.gw.example.org\r\n\r\n") == 502)
        #expect(await ask("GET / HTTP/1.1\r\nHost: none.gw.example.org\r\n\r\n") == 503)
        #expect(await ask("GET / HTTP/1.1\r\nHost: denied.gw.example.org\r\n\r\n") == 403)
        #expect(await ask("GET / HTTP/1.1\r\n\r\n") == 400)
        #expect(await ask("GET / HTTP/1.1\r\n\(head)\(head)\r\n") == 400)
        #expect(await ask("GET / HTTP/3.0\r\n\(head)\r\n") == 505)
        #expect(await ask("POST / HTTP/1.1\r\n\(head)Transfer-Encoding: gzip\r\n\r\n") == 501)
        #expect(await ask("GET / HTTP/1.1\r\n\(head)A: \(String(repeating: "a", count: 17_000))\r\n\r\n") == 431)
        #expect(await ask("POST / HTTP/1.1\r\n\(head)Transfer-Encoding: chunked\r\n\r\nzz\r\n") == 400)
        #expect(await ask("GET / HTTP/1.1\r\nHost: SHOP.gw.example.ORG.:80\r\n\r\n") == 200)
        let status = await world.gateway.status()
        #expect(status.refused[.unknown] == 1)
        #expect(status.contracts.first?.refused[.refusedByWorkload] == 1)
        #expect(status.contracts.first?.refused[.noAgent] == 1)
        #expect(status.contracts.first?.refused[.denied] == 1)
        await world.stop()
    }

    @Test("keeps what was smuggled from the workload")
    func smuggling() async throws {
        let seen = Lock([String]())
        let server = try TestServer.http { request in
            seen.withLock { $0.append(request.start) }
            return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let attacks = [
            "POST / HTTP/1.1\r\n\(head)Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
            "POST / HTTP/1.1\r\n\(head)Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
            "POST / HTTP/1.1\r\n\(head)Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
            "POST / HTTP/1.1\r\n\(head)Transfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
            "POST / HTTP/1.1\r\n\(head)Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
            "POST / HTTP/1.1\r\n\(head)X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
            "POST / HTTP/1.1\r\n\(head)Transfer-Encoding: chunked\r\n\r\n1;\nxx\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
            "GET /x HTTP/1.1\nGET /smuggled HTTP/1.1\r\n\(head)\r\n",
        ]
        for attack in attacks {
            let status = await blocking { () -> Int in
                guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
                socket.say(attack)
                let status = socket.message()?.status ?? 0
                _ = socket.readToEnd()
                return status
            }
            #expect((400..<502).contains(status), "\(attack.debugDescription): \(status)")
        }
        #expect(seen.withLock { $0 }.allSatisfy { !$0.contains("smuggled") })
        await world.stop()
    }

    @Test("passes a change of protocol on, and then bytes both ways with half-close")
    func upgrade() async throws {
        let server = try TestServer { socket in
            guard let request = socket.message(hasBody: false), request.field("upgrade") == "echo",
                request.field("connection") == "upgrade"
            else { return }
            socket.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ")
            while let bytes = socket.read(), !bytes.isEmpty { socket.write(bytes) }
            socket.say(" bye")
            socket.finish()
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let sent = testBytes(300_000)
        let received = await blocking { () -> [UInt8]? in
            guard let socket = try? TestSocket(connectingTo: address) else { return nil }
            socket.say("GET /ws HTTP/1.1\r\n\(head)Connection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ")
            guard let answer = socket.message(), answer.status == 101, answer.field("upgrade") == "echo" else {
                return nil
            }
            startThread {
                socket.write(sent)
                socket.finish()
            }
            return socket.readToEnd()
        }
        let isExact = received == Array("hello early ".utf8) + sent + Array(" bye".utf8)
        #expect(isExact)
        await world.stop()
    }

    @Test("refuses a change of protocol that nobody asked for")
    func unasked() async throws {
        let server = try TestServer.http { _ in "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let status = await blocking { () -> Int in
            guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
            socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
            return socket.message()?.status ?? 0
        }
        #expect(status == 502)
        await world.stop()
    }

    @Test(
        "passes on every framing of an answer, whole, to both versions of visitors",
        arguments: ["HTTP/1.1", "HTTP/1.0"]
    )
    func framings(_ version: String) async throws {
        let big = String(repeating: "0123456789", count: 50_000)
        let server = try TestServer.http { request in
            switch request.start.split(separator: " ")[1] {
            case "/length": "HTTP/1.1 200 OK\r\nContent-Length: \(big.utf8.count)\r\n\r\n\(big)"
            case "/chunked":
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                    + "5;ext=1\r\nhello\r\n\(String(big.utf8.count, radix: 16))\r\n\(big)\r\n0\r\nX-T: 1\r\n\r\n"
            case "/close": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\(big)"
            case "/empty": "HTTP/1.1 204 No Content\r\n\r\n"
            case "/old": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
            case "/head": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
            default: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            }
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let ask: @Sendable (String, String) async -> Message? = { method, path in
            await blocking {
                guard let socket = try? TestSocket(connectingTo: address) else { return nil }
                socket.say("\(method) \(path) \(version)\r\n\(head)\r\n")
                var answer = socket.message(hasBody: method != "HEAD")
                if answer?.status == 103, version == "HTTP/1.1" { answer = socket.message() }
                return answer
            }
        }
        #expect(await ask("GET", "/length")?.text == big)
        #expect(await ask("GET", "/chunked")?.text == "hello" + big)
        let close = await ask("GET", "/close")
        #expect(close?.text == big && close?.isWhole == true && close?.field("connection") == "close")
        #expect(await ask("GET", "/empty")?.status == 204)
        #expect(await ask("GET", "/old")?.status == 304)
        let answer = await ask("HEAD", "/head")
        #expect(answer?.status == 200 && answer?.field("content-length") == "5")
        #expect(await ask("GET", "/hints")?.text == "ok")
        await world.stop()
    }

    @Test("passes 100 Continue on before the body is sent")
    func expectContinue() async throws {
        let server = try TestServer { socket in
            guard let request = socket.message(hasBody: false), request.field("expect") != nil else { return }
            socket.say("HTTP/1.1 100 Continue\r\n\r\n")
            let body = socket.read(exactly: 5)
            socket.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\(String(decoding: body, as: UTF8.self))")
            _ = socket.readToEnd()
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let text = await blocking { () -> String in
            guard let socket = try? TestSocket(connectingTo: address) else { return "" }
            socket.say("POST / HTTP/1.1\r\n\(head)Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            guard socket.message()?.status == 100 else { return "no 100" }
            socket.say("hello")
            return socket.message()?.text ?? ""
        }
        #expect(text == "hello")
        await world.stop()
    }

    @Test("tells a visitor of a cut answer by the connection's end, and a workload of a cut request")
    func aborted() async throws {
        let cut = Lock(0)
        let server = try TestServer { socket in
            guard let request = socket.message(hasBody: false) else { return }
            if request.start.hasPrefix("POST") {
                socket.say("HTTP/1.1 100 Continue\r\n\r\n")
                if socket.readToEnd() == nil { cut.withLock { $0 += 1 } }
                return
            }
            socket.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let answer = await blocking { () -> Message? in
            guard let socket = try? TestSocket(connectingTo: address) else { return nil }
            socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
            return socket.message()
        }
        #expect(answer?.status == 200 && answer?.isWhole == false)
        await blocking {
            guard let socket = try? TestSocket(connectingTo: address) else { return }
            socket.say("POST / HTTP/1.1\r\n\(head)Content-Length: 100\r\n\r\nshort")
            _ = socket.message()
            socket.reset()
        }
        #expect(await comesTrue { cut.withLock { $0 } == 1 })
        await world.stop()
    }

    @Test("answers while the request body still comes, and throws the rest away")
    func early() async throws {
        let server = try TestServer { socket in
            guard socket.message(hasBody: false) != nil else { return }
            socket.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
            socket.finish()
            _ = socket.readToEnd()
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let answer = await blocking { () -> Message? in
            guard let socket = try? TestSocket(connectingTo: address) else { return nil }
            socket.say("POST / HTTP/1.1\r\n\(head)Content-Length: 900000\r\n\r\n")
            socket.write(testBytes(100_000))
            return socket.message()
        }
        #expect(answer?.status == 413 && answer?.text == "big")
        await world.stop()
    }

    @Test("sends a request again when a kept connection to the workload turns out to be closed")
    func stale() async throws {
        let requests = Lock(0)
        let server = try TestServer { socket in
            guard socket.message() != nil else { return }
            requests.withLock { $0 += 1 }
            socket.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            // The next request on this connection is read and not answered.
            _ = socket.message()
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let texts = await blocking { () -> [String] in
            guard let socket = try? TestSocket(connectingTo: address) else { return [] }
            return (0..<5).map { _ in
                socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
                return socket.message()?.text ?? "-"
            }
        }
        #expect(texts == ["ok", "ok", "ok", "ok", "ok"])
        #expect(requests.withLock { $0 } == 5)
        await world.stop()
    }

    @Test("moves 64 MiB both ways exactly, through a reader that stops")
    func bulk() async throws {
        let size = 64 << 20
        let server = try TestServer { socket in
            guard let request = socket.message(hasBody: false) else { return }
            if request.start.hasPrefix("PUT") {
                let body = socket.read(exactly: size)
                socket.say("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n\(Digest.sha256(body).hex)")
            } else {
                socket.say("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
                socket.write(testBytes(size))
            }
            _ = socket.readToEnd()
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let results = await blocking { () -> (String, [UInt8]) in
            guard let up = try? TestSocket(connectingTo: address), let down = try? TestSocket(connectingTo: address)
            else {
                return ("", [])
            }
            down.say("GET / HTTP/1.1\r\n\(head)\r\n")
            up.say("PUT / HTTP/1.1\r\n\(head)Content-Length: \(size)\r\n\r\n")
            up.write(testBytes(size, seed: 2))
            let digest = up.message()?.text ?? ""
            return (digest, down.message()?.body ?? [])
        }
        #expect(results.0 == Digest.sha256(testBytes(size, seed: 2)).hex)
        let isExact = results.1 == testBytes(size)
        #expect(isExact)
        await world.stop()
    }

    @Test("routes by path to other exposures on the same connection, with a PROXY header where it is asked for")
    func paths() async throws {
        let one = try TestServer.http { _ in "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none" }
        let two = try TestServer { socket in
            while true {
                var line: [UInt8] = []
                while line.last != 10 {
                    guard let byte = socket.read(1), !byte.isEmpty else { return }
                    line += byte
                }
                let text = String(decoding: line.dropLast(2), as: UTF8.self)
                guard text.hasPrefix("PROXY TCP4 127.0.0.1 127.0.0.1 ") else { return }
                while socket.message() != nil {
                    socket.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo")
                }
            }
        }
        let world = try await FrontWorld(["one": one.address, "two": two.address]) {
            [$0.http(expose: "one"), $0.http(expose: "two", path: "/two", proxy: 1)]
        }
        let address = world.http
        let texts = await blocking { () -> [String] in
            guard let socket = try? TestSocket(connectingTo: address) else { return [] }
            return ["/", "/two", "/two/x", "/twox", "/two?a", "/"].map { path in
                socket.say("GET \(path) HTTP/1.1\r\n\(head)\r\n")
                return socket.message()?.text ?? "-"
            }
        }
        #expect(texts == ["one", "two", "two", "one", "two", "one"])
        let status = await blocking { () -> Int in
            guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
            socket.say("GET /x/../two HTTP/1.1\r\n\(head)\r\n")
            return socket.message()?.status ?? 0
        }
        #expect(status == 400)
        await world.stop()
    }

    @Test("passes on every byte of an answer whose head came in two pieces to a visitor who begins to read late")
    func splitHead() async throws {
        let body = testBytes(8 << 20)
        let mayGoOn = Lock(false)
        let written = Lock(0)
        let server = try TestServer { socket in
            guard let request = socket.read(), !request.isEmpty else { return }
            // A visitor who has the interim answer knows that the piece of a head behind it arrived too.
            socket.write(Array("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nServ".utf8))
            for _ in 0..<10_000 where !mayGoOn.withLock({ $0 }) { pause() }
            socket.write(Array("er: test\r\n\r\n".utf8))
            for start in stride(from: 0, to: body.count, by: 1 << 16) {
                guard socket.write(Array(body[start..<start + (1 << 16)])) else { return }
                written.withLock { $0 += 1 << 16 }
            }
            socket.finish()
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let answer = await blocking { () -> [UInt8]? in
            guard let socket = try? TestSocket(connectingTo: address) else { return nil }
            socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
            _ = socket.read(exactly: "HTTP/1.1 103 Early Hints\r\n\r\n".utf8.count)
            mayGoOn.withLock { $0 = true }
            for _ in 0..<10_000 where written.withLock({ $0 }) < 1 << 18 { pause() }
            return socket.readToEnd()
        }
        #expect(answer?.starts(with: "HTTP/1.1 200 OK\r\nServer: test\r\n".utf8) == true)
        let isWhole = answer?.suffix(body.count).elementsEqual(body) == true
        #expect(isWhole)
        await world.stop()
    }

    @Test(
        "answers 408 to those who do not finish a head in time, and closes a kept connection without a word",
        .timeLimit(.minutes(1))
    )
    func deadlines() async throws {
        let server = try TestServer.page()
        var limits = GatewayLimits()
        limits.headerSeconds = 1
        limits.idleSeconds = 3
        let world = try await FrontWorld(["web": server.address], limits: limits) { [$0.http()] }
        let address = world.http
        async let silent = blocking { () -> Int in
            guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
            return socket.message()?.status ?? 0
        }
        async let half = blocking { () -> Int in
            guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
            socket.say("GET / HTTP/1.1\r\nHo")
            return socket.message()?.status ?? 0
        }
        async let idle = blocking { () -> [UInt8]? in
            guard let socket = try? TestSocket(connectingTo: address) else { return [1] }
            socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
            guard socket.message()?.status == 200 else { return [2] }
            return socket.readToEnd()
        }
        #expect(await silent == 408)
        #expect(await half == 408)
        #expect(await idle == [])
        await world.stop()
    }
}
