import Contracts
import Testing

@testable import Gateway

private let head = "Host: \(FrontWorld.host)\r\n"

@Suite("A table that changes under visitors", .serialized)
struct FrontTableTests {
    @Test("stops new requests of a cancelled contract at once, and cuts an answer in flight after its drain")
    func cancel() async throws {
        let server = try TestServer { socket in
            while let request = socket.message() {
                if request.start.contains("/slow") {
                    socket.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin")
                } else {
                    socket.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                }
            }
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http(drain: 2)] }
        let address = world.http
        let slow = try TestSocket(connectingTo: address)
        let kept = try TestSocket(connectingTo: address)
        slow.say("GET /slow HTTP/1.1\r\n\(head)\r\n")
        #expect(slow.read(exactly: 10).count == 10)
        kept.say("GET / HTTP/1.1\r\n\(head)\r\n")
        #expect(kept.message()?.text == "ok")
        let clock = ContinuousClock()
        let start = clock.now
        world.apply([])
        await world.settle()
        kept.say("GET / HTTP/1.1\r\n\(head)\r\n")
        #expect(kept.message()?.status == 404)
        #expect(slow.readToEnd() == nil)
        let elapsed = clock.now - start
        #expect(elapsed > .seconds(1) && elapsed < .seconds(20), "\(elapsed)")
        #expect(await comesTrue { await world.gateway.runningContracts().isEmpty })
        await world.stop()
    }

    @Test("leaves a running stream alone when its contract comes back before the drain is over")
    func comeBack() async throws {
        let server = try TestServer { socket in
            guard socket.message(hasBody: false)?.field("upgrade") != nil else { return }
            socket.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            while let bytes = socket.read(), !bytes.isEmpty { socket.write(bytes) }
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http(drain: 1)] }
        let request = "GET / HTTP/1.1\r\n\(head)Connection: upgrade\r\nUpgrade: echo\r\n\r\n"
        let socket = try TestSocket(connectingTo: world.http)
        socket.say(request)
        #expect(socket.message()?.status == 101)
        world.apply([])
        await world.settle()
        world.apply([world.routes.http(drain: 1, version: 2)])
        let clock = ContinuousClock()
        let start = clock.now
        let address = world.http
        // The agent was told that nothing is left for it here; it comes back by itself.
        #expect(
            await comesTrue {
                await blocking {
                    guard let other = try? TestSocket(connectingTo: address) else { return false }
                    other.say(request)
                    return other.message()?.status == 101 && clock.now - start > .seconds(3)
                }
            }
        )
        socket.say("still here")
        #expect(socket.read(exactly: 10) == Array("still here".utf8))
        await world.stop()
    }

    @Test("answers as the mode of the contract says")
    func modes() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address, "tcp": server.address]) { [$0.http()] }
        let address = world.http
        let ask: @Sendable () async -> Message? = {
            await blocking {
                guard let socket = try? TestSocket(connectingTo: address) else { return nil }
                socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
                return socket.message()
            }
        }
        #expect(await ask()?.status == 200)
        world.apply([world.routes.http(mode: .grace)])
        #expect(await ask()?.status == 402)
        world.apply([world.routes.http(mode: .suspended)])
        let suspended = await ask()
        #expect(suspended?.status == 503 && suspended?.field("retry-after") != nil)
        world.gateway.apply(
            Publication(
                node: world.node,
                routes: [world.routes.http(mode: .suspended)],
                suspendedByLaw: [world.contract]
            )
        )
        #expect(await ask()?.status == 451)
        world.apply([world.routes.http(mode: .rejected)])
        #expect(await ask()?.status == 404)
        await world.stop()
    }

    @Test("enforces the window and the age of the state between tables")
    func time() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address]) { [$0.http(drain: 0)] }
        let now = WallClock().seconds(at: monotonicNow())
        let address = world.http
        let ask: @Sendable () -> Int = {
            guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
            socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
            return socket.message()?.status ?? 0
        }
        world.gateway.apply(
            Publication(node: world.node, routes: [world.routes.http()], windows: [world.contract: now - 10..<now + 2])
        )
        #expect(ask() == 200)
        #expect(await comesTrue { ask() == 404 })
        world.gateway.apply(
            Publication(
                node: world.node,
                routes: [world.routes.http()],
                freshness: Freshness(quorumTime: now - 259_300)
            )
        )
        #expect(ask() == 503)
        world.gateway.apply(
            Publication(node: world.node, routes: [world.routes.http()], freshness: Freshness(quorumTime: now - 1000))
        )
        #expect(await comesTrue { ask() == 200 })
        await world.stop()
    }

    @Test("drops none of 200 kept connections over 1,000 changes of other contracts", .timeLimit(.minutes(5)))
    func unrelated() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let isDone = Lock(false)
        let failures = Lock([String]())
        let requests = Lock(0)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    await blocking {
                        guard let socket = try? TestSocket(connectingTo: address) else {
                            return failures.withLock { $0.append("connect") }
                        }
                        repeat {
                            socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
                            let answer = socket.message()
                            requests.withLock { $0 += 1 }
                            if answer?.status != 200 {
                                return failures.withLock { $0.append("\(answer?.status ?? 0)") }
                            }
                        } while !isDone.withLock { $0 }
                    }
                }
            }
            var others: [Route] = []
            for change in 0..<1000 {
                let routes = FrontWorld.Routes(
                    contract: Digest.sha256([9, UInt8(change % 50)]),
                    key: world.agentKey.publicKey
                )
                others.append(routes.http("h\(change).gw.example.org"))
                if others.count > 40 { others.removeFirst(20) }
                world.apply([world.routes.http()] + others)
                if change % 50 == 0 { await Task.yield() }
            }
            isDone.withLock { $0 = true }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(requests.withLock { $0 } >= 200)
        let status = await world.gateway.status()
        #expect(status.generation == 1001)
        await world.stop()
    }

    @Test("holds the contract's limit of connections and of their rate")
    func limits() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address, "rate": server.address]) {
            [$0.http(limits: ContractLimits(bps: 1_000_000, conns: 2))]
        }
        let one = try TestSocket(connectingTo: world.http)
        let two = try TestSocket(connectingTo: world.http)
        let three = try TestSocket(connectingTo: world.http)
        let ask: (TestSocket) -> Message? = { socket in
            socket.say("GET / HTTP/1.1\r\n\(head)\r\n")
            return socket.message()
        }
        #expect(ask(one)?.status == 200)
        #expect(ask(two)?.status == 200)
        let refused = ask(three)
        #expect(refused?.status == 503 && refused?.field("retry-after") == "1")
        one.shut()
        #expect(await comesTrue { await world.gateway.status().contracts.first?.streams == 1 })
        #expect(ask(three)?.status == 200)
        let rated = ContractLimits(bps: 1_000_000, conns: 1000, connRate: 3)
        world.apply([world.routes.http(limits: rated)])
        var statuses: [Int] = []
        for _ in 0..<6 { statuses.append(ask(try TestSocket(connectingTo: world.http))?.status ?? 0) }
        #expect(statuses.prefix(3) == [200, 200, 200])
        #expect(statuses.contains(503))
        await world.stop()
    }
}

@Suite("TCP and TLS through a gateway and an agent", .serialized)
struct FrontRawTests {
    /// A port that is free now.
    private static func freePort() throws -> UInt16 {
        try ListeningSocket(SocketAddress("127.0.0.1:0")!).address.port
    }

    @Test("opens leased ports with the table and closes them with it")
    func ports() async throws {
        let port = try Self.freePort()
        let server = try TestServer.echo()
        let world = try await FrontWorld(["tcp": server.address]) { [$0.tcp(port...port, drain: 1)] }
        let address = SocketAddress("127.0.0.1:\(port)")!
        let socket = try TestSocket(connectingTo: address)
        let sent = testBytes(1_000_000)
        let received = await blocking { () -> [UInt8]? in
            startThread {
                socket.write(sent)
                socket.finish()
            }
            return socket.readToEnd()
        }
        let isExact = received == sent
        #expect(isExact)
        let held = try TestSocket(connectingTo: address)
        held.say("a")
        #expect(held.read(exactly: 1) == [97])
        world.apply([])
        #expect(
            await comesTrue {
                await blocking { (try? TestSocket(connectingTo: address)) == nil }
            }
        )
        #expect(held.readToEnd() == nil)
        world.apply([world.routes.tcp(port...port)])
        #expect(
            await comesTrue {
                await blocking {
                    guard let socket = try? TestSocket(connectingTo: address) else { return false }
                    socket.say("b")
                    return socket.read(exactly: 1) == [98]
                }
            }
        )
        await world.stop()
    }

    @Test("reports a port that cannot be bound, and opens it when it is free")
    func busyPort() async throws {
        let server = try TestServer.echo()
        var busy: TestServer? = try TestServer.echo()
        let port = busy!.address.port
        let world = try await FrontWorld(["tcp": server.address]) { [$0.tcp(port...port)] }
        let condition = await world.gateway.conditions().first
        #expect(condition?.state == .rejected && condition?.code == .portUnavailable)
        busy?.stop()
        busy = nil
        #expect(await comesTrue { await world.gateway.conditions().first?.state == .deployed })
        #expect(world.gateway.openPorts == ["\(port)"])
        await world.stop()
    }

    @Test("refuses visitors by address, and tells the workload who came")
    func addresses() async throws {
        let (port, other) = (try Self.freePort(), try Self.freePort())
        let server = try TestServer { socket in
            socket.write(socket.read(exactly: 28))
            _ = socket.readToEnd()
        }
        let world = try await FrontWorld(["tcp": server.address]) {
            [
                $0.tcp(port...port, proxy: 2, allow: [CIDR("127.0.0.1/32")!]),
                $0.tcp(other...other, expose: "tcp2", deny: [CIDR("127.0.0.0/8")!]),
            ]
        }
        let socket = try TestSocket(connectingTo: SocketAddress("127.0.0.1:\(port)")!)
        let header = socket.read(exactly: 28)
        #expect(header.prefix(16) == [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 12])
        #expect(header.dropFirst(16).prefix(8) == [127, 0, 0, 1, 127, 0, 0, 1])
        #expect(header.suffix(2) == [UInt8(port >> 8), UInt8(port & 255)])
        let denied = try TestSocket(connectingTo: SocketAddress("127.0.0.1:\(other)")!)
        #expect(denied.readToEnd() == nil || denied.readToEnd() == [])
        await world.stop()
    }

    @Test("passes TLS through by server name with the hello untouched, wherever it is cut", arguments: [1, 3])
    func serverName(loops: Int) async throws {
        let server = try TestServer.echo()
        let world = try await FrontWorld(["secure": server.address], loops: loops) { [$0.tls()] }
        let address = world.https
        let hello = SnifferTests.hello(name: FrontWorld.host)
        let echoed = await blocking { () -> [Bool] in
            stride(from: 1, to: hello.count, by: 37).map { cut in
                guard let socket = try? TestSocket(connectingTo: address) else { return false }
                socket.write(Array(hello[..<cut]))
                socket.write(Array(hello[cut...]))
                socket.finish()
                return socket.readToEnd() == hello
            }
        }
        #expect(echoed.allSatisfy { $0 })
        for (name, bytes) in [
            ("unknown name", SnifferTests.hello(name: "other.example")), ("no name", SnifferTests.hello(name: nil)),
            ("http", Array("GET / HTTP/1.1\r\n\r\n".utf8)),
        ] {
            let answer = await blocking { () -> [UInt8]? in
                guard let socket = try? TestSocket(connectingTo: address) else { return nil }
                socket.write(bytes)
                return socket.readToEnd()
            }
            #expect(answer?.prefix(5) == [0x15, 3, 1, 0, 2], "\(name)")
        }
        await world.stop()
    }

    @Test("serves visitors of every loop when the sessions are on some of them")
    func manyLoops() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address], loops: 4) { [$0.http()] }
        let address = world.http
        let texts = await blocking { () -> [String] in
            (0..<100).map { index in
                guard let socket = try? TestSocket(connectingTo: address) else { return "connect" }
                socket.say("POST /\(index) HTTP/1.1\r\n\(head)Content-Length: 2\r\n\r\nhi")
                return socket.message()?.text ?? "-"
            }
        }
        #expect(texts == [String](repeating: "page:hi", count: 100))
        #expect(await comesTrue { await world.gateway.status().visitors == 0 })
        await world.stop()
    }
}
