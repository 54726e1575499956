import Contracts
import Glibc
import Testing

@testable import Gateway

@Suite("Data connections", .serialized)
struct DataConnectionTests {
    static let hello = SnifferTests.hello(name: FrontWorld.host)

    static func world(
        _ server: TestServer,
        loops: Int = 1,
        drain: Int64 = 1,
        limits: ContractLimits = ContractLimits(bps: 1_000_000_000_000, conns: 1000)
    ) async throws -> FrontWorld {
        try await FrontWorld(["secure": server.address], loops: loops, isRaw: true) {
            [$0.tls(drain: drain, limits: limits, conn: .reverseRaw)]
        }
    }

    /// What comes back of a hello and some bytes behind it.
    private static func exchange(_ world: FrontWorld, _ sent: [UInt8]) async -> [UInt8]? {
        await blocking {
            guard let visitor = try? TestSocket(connectingTo: world.https) else { return nil }
            startThread {
                visitor.write(hello + sent)
                visitor.finish()
            }
            return visitor.readToEnd()
        }
    }

    @Test(
        "carry a visitor's bytes exactly, with half-close, by copy and by splice, and both ends count them",
        arguments: [(10, 1), (100_000, 1), (32 << 20, 1), (1 << 20, 3)]
    )
    func bytes(_ count: Int, _ loops: Int) async throws {
        let server = try TestServer.echo()
        let world = try await Self.world(server, loops: loops)
        let sent = testBytes(count, seed: 3)
        let total = Self.hello.count + count
        for _ in 0..<(loops > 1 ? 6 : 1) {
            let received = await Self.exchange(world, sent)
            #expect(received.map { Array($0.dropFirst(Self.hello.count)) } == sent)
        }
        let all = Int64(total * (loops > 1 ? 6 : 1))
        #expect(
            await comesTrue {
                let totals = await world.gateway.status().contracts.first?.totals
                return totals?.bytesIn == all && totals?.bytesOut == all
            }
        )
        let agents = await world.agent.usage()?.counts.values.first
        #expect(agents?.bytesIn == all && agents?.bytesOut == all)
        #expect(await comesTrue { await world.gateway.status().sessions.allSatisfy { $0.streams == 0 } })
        await world.stop()
    }

    @Test("are made ahead, so that a visitor finds one that stands, and more of them when there were too few")
    func warm() async throws {
        let server = try TestServer.echo()
        let world = try await Self.world(server)
        #expect(await comesTrue { await world.gateway.status().sessions.allSatisfy { $0.spare == DataLines.fewest } })
        let visitors = try (0..<40).map { _ in try TestSocket(connectingTo: world.https) }
        for visitor in visitors { visitor.write(Self.hello) }
        for visitor in visitors {
            #expect(await blocking { visitor.read(exactly: Self.hello.count) } == Self.hello)
        }
        #expect(
            await comesTrue { await world.gateway.status().sessions.reduce(0) { $0 + $1.spare } > 2 * DataLines.fewest }
        )
        #expect(await world.gateway.status().sessions.reduce(0) { $0 + $1.streams } == 40)
        for visitor in visitors { visitor.shut() }
        #expect(await comesTrue { await world.gateway.status().sessions.allSatisfy { $0.streams == 0 } })
        await world.stop()
    }

    @Test("an abort of the visitor reaches the workload as RST, and one of the workload the visitor")
    func abort() async throws {
        let failure = Lock<Int32>(-1)
        let server = try TestServer { socket in
            let hello = socket.read(exactly: Self.hello.count)
            socket.write(hello)
            guard let order = socket.read(), order != [1] else { return socket.reset() }
            while let bytes = socket.read(), !bytes.isEmpty {}
            let code = errno
            failure.withLock { $0 = code }
        }
        let world = try await Self.world(server)
        await blocking {
            guard let visitor = try? TestSocket(connectingTo: world.https) else { return }
            visitor.write(Self.hello)
            _ = visitor.read(exactly: Self.hello.count)
            visitor.write([2])
            visitor.reset()
        }
        #expect(await eventually { failure.withLock { $0 } == ECONNRESET })
        let code = await blocking { () -> Int32 in
            guard let visitor = try? TestSocket(connectingTo: world.https) else { return -1 }
            visitor.write(Self.hello)
            _ = visitor.read(exactly: Self.hello.count)
            visitor.write([1])
            return visitor.readToEnd() == nil ? errno : 0
        }
        #expect(code == ECONNRESET)
        #expect(await comesTrue { await world.gateway.status().sessions.allSatisfy { $0.streams == 0 } })
        await world.stop()
    }

    @Test("a workload that is not there is told to the gateway, which counts it")
    func noWorkload() async throws {
        let gone = try TestServer.echo()
        let address = gone.address
        gone.stop()
        let world = try await FrontWorld(["secure": address], isRaw: true) { [$0.tls(conn: .reverseRaw)] }
        let answer = await blocking { () -> [UInt8]? in
            guard let visitor = try? TestSocket(connectingTo: world.https) else { return [] }
            visitor.write(Self.hello)
            return visitor.readToEnd()
        }
        #expect(answer == nil)
        #expect(
            await comesTrue { await world.gateway.status().contracts.first?.refused[.refusedByWorkload] == 1 }
        )
        await world.stop()
    }

    @Test("keep to the contract's rate, in each direction", arguments: [true, false])
    func paced(_ isInbound: Bool) async throws {
        let size = 1_500_000
        let server = try TestServer { socket in
            _ = socket.read(exactly: Self.hello.count)
            if isInbound { _ = socket.read(exactly: size) } else { socket.write(testBytes(size)) }
            socket.write([7])
            socket.finish()
        }
        let world = try await Self.world(server, limits: ContractLimits(bps: 8_000_000, conns: 1000))
        let clock = ContinuousClock()
        let start = clock.now
        let received = await blocking { () -> Int? in
            guard let visitor = try? TestSocket(connectingTo: world.https) else { return nil }
            visitor.write(Self.hello)
            if isInbound { startThread { visitor.write(testBytes(size)) } }
            return visitor.readToEnd()?.count
        }
        #expect(received == (isInbound ? 1 : size + 1))
        #expect(clock.now - start > .milliseconds(1100))
        #expect((await world.gateway.status().contracts.first?.delays ?? 0) > 3)
        await world.stop()
    }

    @Test("that run are cut when their contract ends, and those that wait are closed")
    func cut() async throws {
        let server = try TestServer.echo()
        let world = try await Self.world(server, drain: 0)
        let visitor = try TestSocket(connectingTo: world.https)
        visitor.write(Self.hello)
        #expect(await blocking { visitor.read(exactly: Self.hello.count) } == Self.hello)
        world.apply([])
        #expect(await blocking { visitor.readToEnd() } == nil)
        #expect(await world.gateway.status().revocation.streams == 1)
        #expect(await comesTrue { await world.gateway.status().sessions.allSatisfy { $0.spare == 0 } })
        await world.stop()
    }

    @Test("end with their agent's session, and a visitor comes through again when it is back")
    func sessionEnds() async throws {
        let server = try TestServer.echo()
        let world = try await Self.world(server)
        let visitor = try TestSocket(connectingTo: world.https)
        visitor.write(Self.hello)
        #expect(await blocking { visitor.read(exactly: Self.hello.count) } == Self.hello)
        await world.agent.stop()
        #expect(await blocking { visitor.readToEnd() } == nil)
        #expect(await comesTrue { await world.gateway.status().sessions.isEmpty })
        await world.stop()
    }

    @Test("of a contract that the agent knows as reverse-tls are refused by it")
    func consent() async throws {
        let server = try TestServer.echo()
        let world = try await FrontWorld(["secure": server.address]) { [$0.tls(conn: .reverseRaw)] }
        let answer = await blocking { () -> [UInt8]? in
            guard let visitor = try? TestSocket(connectingTo: world.https) else { return [] }
            visitor.write(Self.hello)
            return visitor.readToEnd()
        }
        #expect(answer == nil)
        #expect(await world.gateway.status().sessions.count == 2)
        await world.stop()
    }

    @Test(
        "are asked for again a second after an order that came to nothing, of an agent that learns of the contract late"
    )
    func lateConsent() async throws {
        let server = try TestServer.echo()
        let world = try await FrontWorld(["secure": server.address]) { [$0.tls(conn: .reverseRaw)] }
        let start = ContinuousClock.now
        // What was ordered until here the agent has heard of, and did not make.
        #expect(await world.gateway.status().sessions.allSatisfy { $0.spare == 0 })
        world.agent.update(rawContracts: [world.contract])
        #expect(
            await eventually(within: .seconds(20)) {
                await world.gateway.status().sessions.allSatisfy { $0.spare == DataLines.fewest }
            }
        )
        print("connections wait after \(ContinuousClock.now - start)")
        await world.stop()
    }
}
