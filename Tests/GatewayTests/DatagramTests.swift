import Contracts
import Glibc
import Testing

@testable import Gateway

/// A UDP socket of a test: blocking, with a time limit on every read.
final class TestDatagramSocket: Sendable {
    let descriptor: Int32

    init(bind address: SocketAddress = SocketAddress("127.0.0.1:0")!) throws {
        descriptor = try Socket.datagrams(on: address)
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    var address: SocketAddress { Socket.localAddress(descriptor)! }

    func send(_ bytes: [UInt8], to address: SocketAddress) {
        _ = unsafe address.withSockaddr { name, length in
            unsafe sendto(descriptor, bytes, bytes.count, 0, name, length)
        }
    }

    /// The next datagram and its sender; nil when none comes within a second.
    func receive() -> (bytes: [UInt8], from: SocketAddress)? {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        var (name, _) = address.storage
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = unsafe withUnsafeMutablePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length)
            }
        }
        guard count >= 0, let sender = SocketAddress(name, length: length) else { return nil }
        return (Array(bytes.prefix(count)), sender)
    }

    /// The next datagram; nil when none comes within 20 s.
    func next() -> [UInt8]? {
        for _ in 0..<20 { if let (bytes, _) = receive() { return bytes } }
        return nil
    }

    /// Answers every datagram with itself, until none came for a minute.
    func echo() {
        let socket = self
        startThread {
            var silence = 0
            while silence < 60 {
                guard let (bytes, sender) = socket.receive() else {
                    silence += 1
                    continue
                }
                silence = 0
                socket.send(bytes, to: sender)
            }
        }
    }
}

@Suite("Leased UDP ports")
struct DatagramTests {
    private static func freePort() throws -> UInt16 { try TestDatagramSocket().address.port }

    /// Asks until an answer comes: a datagram may be lost.
    private static func ask(_ socket: TestDatagramSocket, _ bytes: [UInt8], at address: SocketAddress) async -> [UInt8]?
    {
        await blocking {
            for _ in 0..<20 {
                socket.send(bytes, to: address)
                if let answer = socket.receive() { return answer.bytes }
            }
            return nil
        }
    }

    @Test(
        "datagrams of every length go to the workload and back, each visitor on a flow of its own",
        arguments: [1, 2]
    )
    func echo(loops: Int) async throws {
        let workload = try TestDatagramSocket()
        workload.echo()
        let port = try Self.freePort()
        let world = try await FrontWorld(["dns": workload.address], loops: loops) {
            [$0.tcp(port...port, expose: "dns", kind: .udp)]
        }
        let address = try #require(SocketAddress("127.0.0.1:\(port)"))
        for number in 0..<8 {
            let visitor = try TestDatagramSocket()
            for length in [1, 512, 1472, 9000, 65_507] {
                let bytes = testBytes(length, seed: UInt64(number + length))
                #expect(await Self.ask(visitor, bytes, at: address) == bytes, "\(length) bytes")
            }
        }
        #expect(await world.gateway.status().contracts.first?.streams == 8)
        await world.stop()
    }

    @Test("a visitor's datagrams find the agent wherever its session comes back, and none goes round in circles")
    func agentMoves() async throws {
        let workload = try TestDatagramSocket()
        workload.echo()
        let port = try Self.freePort()
        let world = try await FrontWorld(["dns": workload.address], loops: 2) {
            [$0.tcp(port...port, expose: "dns", kind: .udp)]
        }
        let address = try #require(SocketAddress("127.0.0.1:\(port)"))
        let visitor = try TestDatagramSocket()
        #expect(await Self.ask(visitor, [0], at: address) == [0])
        for round in 1...24 as ClosedRange<UInt8> {
            // Newest wins: it takes over, on whichever loop its one session is.
            let agent = try await world.anotherAgent(["dns": workload.address])
            #expect(await Self.ask(visitor, [round], at: address) == [round], "round \(round)")
            await agent.stop()
        }
        await world.stop()
    }

    @Test("a table without the port stops new flows at once, and running ones after the drain")
    func drain() async throws {
        let workload = try TestDatagramSocket()
        workload.echo()
        let port = try Self.freePort()
        let world = try await FrontWorld(["dns": workload.address]) {
            [$0.tcp(port...port, expose: "dns", drain: 0, kind: .udp)]
        }
        let address = try #require(SocketAddress("127.0.0.1:\(port)"))
        let visitor = try TestDatagramSocket()
        #expect(await Self.ask(visitor, [1], at: address) == [1])
        world.apply([])
        #expect(await comesTrue { await world.gateway.runningContracts().isEmpty })
        #expect(world.gateway.openPorts.isEmpty)
        // The address is free again for the same lease.
        world.apply([world.routes.tcp(port...port, expose: "dns", kind: .udp)])
        #expect(world.gateway.openPorts == ["udp:\(port)"])
        #expect(await Self.ask(visitor, [2], at: address) == [2])
        await world.stop()
    }

    @Test("PROXY version 2 stands before the first datagram of a flow and says DGRAM")
    func proxy() async throws {
        let workload = try TestDatagramSocket()
        let port = try Self.freePort()
        let world = try await FrontWorld(["dns": workload.address]) {
            [$0.tcp(port...port, expose: "dns", proxy: 2, kind: .udp)]
        }
        let visitor = try TestDatagramSocket()
        let address = try #require(SocketAddress("127.0.0.1:\(port)"))
        visitor.send([7, 7], to: address)
        let first = try #require(await blocking { workload.next() })
        #expect(first.prefix(16) == [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x12, 0, 12])
        #expect(first.suffix(2) == [7, 7] && first.count == 30)
        visitor.send([8], to: address)
        #expect(await blocking { workload.next() } == [8])
        await world.stop()
    }

    @Test("a workload that does not listen ends the flow, is counted, and is asked again when it does")
    func absentWorkload() async throws {
        let place: SocketAddress
        do {
            let gone = try TestDatagramSocket()
            place = gone.address
        }
        let port = try Self.freePort()
        let world = try await FrontWorld(["dns": place]) { [$0.tcp(port...port, expose: "dns", kind: .udp)] }
        let address = try #require(SocketAddress("127.0.0.1:\(port)"))
        let visitor = try TestDatagramSocket()
        visitor.send([1], to: address)
        visitor.send([2], to: address)
        #expect(
            await comesTrue { (await world.gateway.status().contracts.first?.refused[.refusedByWorkload] ?? 0) > 0 }
        )
        let workload = try TestDatagramSocket(bind: place)
        workload.echo()
        #expect(await Self.ask(visitor, [3], at: address) == [3])
        await world.stop()
    }

    @Test("visitors beyond the contract's limit, or from a denied address, get nothing")
    func limits() async throws {
        let workload = try TestDatagramSocket()
        workload.echo()
        let (port, closed) = (try Self.freePort(), try Self.freePort())
        let world = try await FrontWorld(["dns": workload.address, "no": workload.address]) {
            [
                $0.tcp(
                    port...port,
                    expose: "dns",
                    limits: ContractLimits(bps: 1_000_000_000, conns: 1),
                    kind: .udp
                ),
                $0.tcp(
                    closed...closed,
                    expose: "no",
                    limits: ContractLimits(bps: 1_000_000_000, conns: 1),
                    deny: [CIDR("127.0.0.0/8")!],
                    kind: .udp
                ),
            ]
        }
        let address = try #require(SocketAddress("127.0.0.1:\(port)"))
        let first = try TestDatagramSocket()
        #expect(await Self.ask(first, [1], at: address) == [1])
        let second = try TestDatagramSocket()
        second.send([2], to: address)
        second.send([3], to: try #require(SocketAddress("127.0.0.1:\(closed)")))
        #expect(
            await comesTrue {
                let refusals = await world.gateway.status().contracts.first?.refused
                return (refusals?[.limit] ?? 0) > 0 && (refusals?[.denied] ?? 0) > 0
            }
        )
        #expect(await Self.ask(first, [4], at: address) == [4])
        await world.stop()
    }

    @Test("what waits for a congested session is bounded, and the oldest goes first")
    func dropOldest() {
        var queue = DatagramQueue()
        for number in 0..<100 { queue.append([UInt8(number)]) }
        #expect(queue.dropped == 36)
        var taken: [UInt8] = []
        queue.drain {
            guard taken.count < 3 else { return false }
            taken += $0
            return true
        }
        #expect(taken == [36, 37, 38])
        for _ in 0..<10 { queue.append([UInt8](repeating: 1, count: 60_000)) }
        var bytes = 0
        queue.drain {
            bytes += $0.count
            return true
        }
        #expect(bytes <= 256 << 10 && queue.isEmpty)
    }
}
