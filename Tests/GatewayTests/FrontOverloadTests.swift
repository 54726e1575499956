import Contracts
import Testing

@testable import Gateway

private let head = "Host: \(FrontWorld.host)\r\n"

@Suite("Bounds of the whole gateway", .serialized)
struct FrontOverloadTests {
    @Test("a visitor beyond the limit of connections is told 503, and the next is served when one has left")
    func connections() async throws {
        let server = try TestServer.page()
        var limits = GatewayLimits()
        limits.connections = 1
        let world = try await FrontWorld(["web": server.address], limits: limits) { [$0.http()] }
        let first = try TestSocket(connectingTo: world.http)
        first.say("GET / HTTP/1.1\r\n\(head)\r\n")
        #expect(first.message()?.status == 200)
        let second = try TestSocket(connectingTo: world.http)
        second.say("GET / HTTP/1.1\r\n\(head)\r\n")
        let refused = second.message()
        #expect(refused?.status == 503 && refused?.field("retry-after") == "5")
        #expect(second.readToEnd() == [])
        #expect(await world.gateway.status().refused[.limit] == 1)
        first.shut()
        let address = world.http
        #expect(
            await comesTrue {
                await blocking {
                    guard let third = try? TestSocket(connectingTo: address) else { return false }
                    third.say("GET / HTTP/1.1\r\n\(head)\r\n")
                    return third.message()?.status == 200
                }
            }
        )
        await world.stop()
    }

    @Test("no new work is taken from three quarters of the stuck bytes until half of them are free")
    func stuckBudget() {
        var budget = StuckBudget(limit: 1000)
        #expect(budget.reserve(750) && !budget.isOverloaded)
        #expect(budget.reserve(1) && budget.isOverloaded)
        budget.release(250)
        #expect(budget.isOverloaded)
        budget.release(1)
        #expect(!budget.isOverloaded)
        #expect(!budget.reserve(501) && budget.used == 500)
    }

    @Test("a request body that trickles meets 408, and a visitor who takes nothing is let go")
    func slow() async throws {
        let server = try TestServer { socket in
            while let request = socket.message(hasBody: false) {
                guard request.start.hasPrefix("GET") else {
                    _ = socket.readToEnd()
                    return
                }
                socket.say("HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
                socket.write([UInt8](repeating: 0x61, count: 64 << 20))
            }
        }
        var limits = GatewayLimits()
        limits.slowSeconds = 1
        let world = try await FrontWorld(["web": server.address], limits: limits) { [$0.http()] }
        let writer = try TestSocket(connectingTo: world.http)
        writer.say("POST / HTTP/1.1\r\n\(head)Content-Length: 1000\r\n\r\n")
        let isOver = Lock(false)
        startThread {
            while !isOver.withLock({ $0 }), writer.write([0x61]) {
                for _ in 0..<100 { pause() }
            }
        }
        #expect(writer.message()?.status == 408)
        isOver.withLock { $0 = true }
        let reader = try TestSocket(connectingTo: world.http)
        reader.say("GET / HTTP/1.1\r\n\(head)\r\n")
        #expect(await comesTrue { await world.gateway.status().contracts.first?.refused[.slow] == 2 })
        #expect(reader.readToEnd() == nil)
        #expect(await comesTrue { await world.gateway.status().contracts.first?.streams == 0 })
        await world.stop()
    }

    @Test("a source that asks for many names that nobody serves gets no answer any more, others do")
    func flood() async throws {
        let server = try TestServer.page()
        var limits = GatewayLimits()
        limits.unknownPerSecond = 1
        let world = try await FrontWorld(["web": server.address], limits: limits) { [$0.http()] }
        let address = world.http
        let answers = await blocking { () -> [Int] in
            (0..<40).map { _ in
                guard let socket = try? TestSocket(connectingTo: address) else { return -1 }
                socket.say("GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
                return socket.message()?.status ?? 0
            }
        }
        #expect(answers.prefix(10).allSatisfy { $0 == 404 })
        #expect(answers.contains(0))
        #expect((await world.gateway.status().refused[.flood] ?? 0) > 0)
        // What is served is not touched by it.
        let served = try TestSocket(connectingTo: address)
        served.say("GET / HTTP/1.1\r\n\(head)\r\n")
        #expect(served.message()?.status == 200)
        await world.stop()
    }

    @Test("how long a revoked stream ran on is measured")
    func revocation() async throws {
        let server = try TestServer.echo()
        let port = try ListeningSocket(SocketAddress("127.0.0.1:0")!).address.port
        let world = try await FrontWorld(["tcp": server.address]) { [$0.tcp(port...port, drain: 1)] }
        let running = try TestSocket(connectingTo: SocketAddress("127.0.0.1:\(port)")!)
        running.write([1, 2, 3])
        #expect(running.read(exactly: 3) == [1, 2, 3])
        world.apply([])
        #expect(running.readToEnd() == nil)
        #expect(await comesTrue { await world.gateway.status().revocation.streams == 1 })
        let figures = await world.gateway.status().revocation
        #expect(figures.worst >= 1_000_000_000 && figures.worst - figures.worstLate <= 1_000_000_000)
        await world.stop()
    }

    @Test("a leased port that closes in one table and opens in the next is open, and never reported unavailable")
    func portComesBack() async throws {
        let server = try TestServer.echo()
        let port = try ListeningSocket(SocketAddress("127.0.0.1:0")!).address.port
        let world = try await FrontWorld(["tcp": server.address], loops: 2) { [$0.tcp(port...port)] }
        for version in 2..<40 {
            world.apply([])
            world.apply([world.routes.tcp(port...port)])
            #expect(world.gateway.openPorts == ["\(port)"], "version \(version)")
            #expect(await world.gateway.conditions().first?.code != .portUnavailable)
        }
        await world.settle()
        #expect(
            await comesTrue {
                await blocking {
                    guard let socket = try? TestSocket(connectingTo: SocketAddress("127.0.0.1:\(port)")!) else {
                        return false
                    }
                    socket.write([7])
                    return socket.read(exactly: 1) == [7]
                }
            }
        )
        world.apply([])
        await world.settle()
        #expect(await comesTrue { (try? ListeningSocket(SocketAddress("127.0.0.1:\(port)")!)) != nil })
        await world.stop()
    }
}

@Suite("Another configuration under visitors", .serialized)
struct ReconfigurationTests {
    @Test("addresses and limits change, and who is there stays")
    func change() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let gateway = world.gateway
        let kept = try TestSocket(connectingTo: world.http)
        func ask(_ socket: TestSocket, _ more: String = "") -> Int? {
            socket.say("GET / HTTP/1.1\r\n\(head)\(more)\r\n")
            return socket.message()?.status
        }
        #expect(ask(kept) == 200)
        var configuration = GatewayConfiguration(
            node: world.node,
            transportKey: try SigningKey(seed: [UInt8](repeating: 6, count: 32))
        )
        configuration.http = ["127.0.0.1:0", "127.0.0.2:0"]
        configuration.https = ["127.0.0.1:0"]
        configuration.tunnel = ["127.0.0.1:0"]
        configuration.ports = ["127.0.0.1"]
        configuration.limits.headerSize = 2048
        let before = gateway.boundAddresses
        try gateway.reconfigure(configuration)
        await world.settle()
        let after = gateway.boundAddresses
        #expect(after.http.first == before.http.first && after.http.count == 2 && after.tunnel == before.tunnel)
        #expect(ask(kept) == 200)
        #expect(ask(try TestSocket(connectingTo: SocketAddress(after.http[1])!)) == 200)
        #expect(ask(kept, "X-Long: \(String(repeating: "a", count: 3000))\r\n") == 431)
        // What cannot be bound changes nothing.
        var impossible = configuration
        impossible.http = ["203.0.113.1:1"]
        #expect(throws: GatewayError.self) { try gateway.reconfigure(impossible) }
        #expect(gateway.boundAddresses == after)
        let second = try TestSocket(connectingTo: SocketAddress(after.http[1])!)
        #expect(ask(second) == 200)
        configuration.http = ["127.0.0.1:0"]
        try gateway.reconfigure(configuration)
        await world.settle()
        #expect(ask(second) == 200)
        #expect((try? TestSocket(connectingTo: SocketAddress(after.http[1])!)) == nil)
        #expect(await gateway.status().sessions.count == 2)
        await world.stop()
    }
}
