import Contracts
import Testing

@testable import Gateway

private let head = "Host: \(FrontWorld.host)\r\n"
/// Longer than any test, and than what is left of a day.
private let year: Int64 = 31_622_400

@Suite("Limits of a contract", .serialized)
struct FrontLimitsTests {
    private static func ask(_ address: SocketAddress, _ path: String = "/") async -> Message? {
        await blocking {
            guard let socket = try? TestSocket(connectingTo: address) else { return nil }
            socket.say("GET \(path) HTTP/1.1\r\n\(head)\r\n")
            return socket.message()
        }
    }

    /// Answers with a body of 23,000 bytes, or changes the protocol and sends everything back.
    private static func server() throws -> TestServer {
        try TestServer { socket in
            while let request = socket.message(hasBody: false) {
                if request.field("upgrade") != nil {
                    socket.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
                    while let bytes = socket.read(), !bytes.isEmpty { socket.write(bytes) }
                    return
                }
                socket.say("HTTP/1.1 200 OK\r\nContent-Length: 23000\r\n\r\n")
                socket.write([UInt8](repeating: 0x61, count: 23_000))
            }
        }
    }

    @Test(
        "bytes of a period: a warning at nine tenths, then 503 for new and kept connections, and the running end after the drain"
    )
    func period() async throws {
        let server = try Self.server()
        let limits = ContractLimits(bps: 1_000_000_000, conns: 1000, bytesPeriod: 50_000, period: year)
        let world = try await FrontWorld(["web": server.address]) { [$0.http(drain: 1, limits: limits)] }
        let address = world.http
        let running = try TestSocket(connectingTo: address)
        running.say("GET / HTTP/1.1\r\n\(head)Connection: upgrade\r\nUpgrade: echo\r\n\r\n")
        #expect(running.message()?.status == 101)
        let kept = try TestSocket(connectingTo: address)
        for _ in 0..<2 {
            kept.say("GET / HTTP/1.1\r\n\(head)\r\n")
            #expect(kept.message()?.body.count == 23_000)
        }
        #expect(await comesTrue { await world.gateway.status().contracts.first?.period?.isNear == true })
        #expect(await world.gateway.status().contracts.first?.period?.isUsedUp == false)
        #expect(await Self.ask(address)?.status == 200)
        #expect(await comesTrue { await world.gateway.status().contracts.first?.period?.isUsedUp == true })
        #expect(running.readToEnd() == nil)
        let refused = await Self.ask(address)
        #expect(refused?.status == 503 && refused?.field("retry-after") == "3600")
        kept.say("GET / HTTP/1.1\r\n\(head)\r\n")
        #expect(kept.message()?.status == 503)
        #expect((await world.gateway.status().contracts.first?.refused[.quota] ?? 0) >= 2)
        let json = try JSONValue(canonical: await world.gateway.status().json)
        let conditions = json["routes"]?.asArray?.first?["conditions"]?.asArray ?? []
        #expect(conditions.contains { $0["type"]?.asString == "Allowance" && $0["reason"]?.asString == "UsedUp" })
        // More is allowed by an update of the contract, at once.
        let more = ContractLimits(bps: 1_000_000_000, conns: 1000, bytesPeriod: 5_000_000, period: year)
        world.apply([world.routes.http(drain: 1, limits: more, version: 2)])
        #expect(await comesTrue { await Self.ask(address)?.status == 200 })
        await world.stop()
    }

    @Test("meters go on where an earlier process ended, and count both ways")
    func restored() async throws {
        let server = try Self.server()
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        #expect(await Self.ask(world.http)?.status == 200)
        let meters = await world.gateway.meters()
        #expect(meters.count == 1 && meters[0].contract == world.contract)
        let first = meters[0].totals
        #expect(first.bytesOut > 23_000 && first.bytesOut < 24_000 && first.bytesIn > 40 && first.conns == 1)
        await world.stop()
        let other = try await FrontWorld(["web": server.address], restoring: meters) { [$0.http()] }
        #expect(await other.gateway.meters().first?.totals == first)
        #expect(await Self.ask(other.http)?.status == 200)
        #expect(await other.gateway.meters().first?.totals == first + first)
        other.gateway.forgetMeters(of: [other.contract])
        #expect(await other.gateway.meters().count == 1, "a contract of the table is not forgotten")
        other.apply([])
        other.gateway.forgetMeters(of: [other.contract])
        #expect(await other.gateway.meters().isEmpty)
        await other.stop()
    }

    @Test("a contract that leaves and comes back finds its running connections counted")
    func comesBack() async throws {
        let server = try Self.server()
        let limits = ContractLimits(bps: 1_000_000_000, conns: 1)
        let world = try await FrontWorld(["web": server.address], loops: 2) { [$0.http(drain: 60, limits: limits)] }
        let address = world.http
        let running = try TestSocket(connectingTo: address)
        running.say("GET / HTTP/1.1\r\n\(head)Connection: upgrade\r\nUpgrade: echo\r\n\r\n")
        #expect(running.message()?.status == 101)
        world.apply([])
        await world.settle()
        world.apply([world.routes.http(drain: 60, limits: limits, version: 2)])
        #expect(
            await comesTrue {
                _ = await Self.ask(address)
                return (await world.gateway.status().contracts.first?.refused[.limit] ?? 0) > 0
            }
        )
        #expect(await world.gateway.status().contracts.first?.streams == 1)
        await world.stop()
    }

    @Test("a draining gateway still answers by its table: 404 for what is gone, 503 for what is left")
    func draining() async throws {
        let server = try Self.server()
        let world = try await FrontWorld(["web": server.address]) { [$0.http(), $0.http("other.gw.example.org")] }
        let sockets = try (0..<2).map { _ in try TestSocket(connectingTo: world.http) }
        for (socket, host) in zip(sockets, [FrontWorld.host, "other.gw.example.org"]) {
            socket.say("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            #expect(socket.message()?.status == 200)
            // A head that has begun keeps the connection through the drain.
            socket.say("GET / HTTP/1.1\r\n")
        }
        await world.settle()
        async let drained: Void = world.gateway.drain(seconds: 10)
        #expect(await comesTrue { await world.gateway.status().isDraining })
        world.apply([world.routes.http()])
        await world.settle()
        sockets[0].say("\(head)\r\n")
        let left = sockets[0].message()
        #expect(left?.status == 503 && left?.field("retry-after") == "5" && left?.field("connection") == "close")
        sockets[1].say("Host: other.gw.example.org\r\n\r\n")
        #expect(sockets[1].message()?.status == 404)
        for socket in sockets { socket.shut() }
        await drained
        await world.stop()
    }

    @Test("what was refused is told for a while after the contract ended, and goes on counting when it comes back")
    func refusalsAfterTheEnd() async throws {
        let server = try Self.server()
        let limits = ContractLimits(bps: 1_000_000_000, conns: 1000, connRate: 1)
        let world = try await FrontWorld(["web": server.address]) { [$0.http(drain: 0, limits: limits)] }
        let (gateway, contract, address) = (world.gateway, world.contract, world.http)
        @Sendable func refused() async -> Int64? {
            await gateway.status().contracts.first(where: { $0.contract == contract })?.refused[.rate]
        }
        for _ in 0..<5 { _ = await Self.ask(address) }
        let before = try #require(await refused())
        world.apply([])
        #expect(await comesTrue { await gateway.status().contracts.first?.streams == 0 })
        #expect(await refused() == before)
        world.apply([world.routes.http(drain: 0, limits: limits)])
        #expect(await refused() == before)
        // Its agent comes back too.
        #expect(
            await comesTrue {
                _ = await Self.ask(address)
                return await refused() ?? 0 > before
            }
        )
        await world.stop()
    }
}
