import Foundation
import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing

@Suite("Bytes, memory and descriptors under load", .serialized)
struct Load {
    /// A leased port in front of an origin of one kind.
    final class PortScene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let gatewayProcess: NodeProcess
        let agent: NodeProcess
        let origin: Origin
        let port: UInt16

        /// - Parameter target: a local service instead of an origin of `kind`.
        init(_ kind: Origin.Kind, target: String? = nil) async throws {
            deployment = try await Deployment()
            gateway = try await deployment.furnish()
            origin = try await Origin.start(kind)
            port = gateway.leases.lowerBound
            let contract = try await deployment.makeContract(
                "user",
                gateways: [gateway],
                expose: ["{ id: raw, kind: tcp, ports: [\(port)], backends: [b1] }"]
            )
            gatewayProcess = try deployment.start(gateway)
            agent = try deployment.startAgent(contract: contract, forwards: ["raw=\(target ?? origin.target)"])
            try await eventually(within: 20, "the agent's session serves") {
                agent.output.contains("\"state\":\"serving\"")
            }
            if case .stuck = kind { return }
            try await eventually(within: 20, "the port answers") {
                guard let visitor = try? await Visitor(gateway.address, port) else { return false }
                guard (try? await visitor.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n")) != nil else { return false }
                let isAnswered = (try? await visitor.read(within: .seconds(2)) { !$0.isEmpty }) == true
                await visitor.close()
                return isAnswered
            }
        }

        func usage() throws -> (residentKiB: Int, descriptors: Int) {
            let one = try gatewayProcess.usage()
            let other = try agent.usage()
            return (one.residentKiB + other.residentKiB, one.descriptors + other.descriptors)
        }
    }

    @Test("5,000 idle visitors cost at most 4 KiB of userland memory each, gateway and agent together")
    func idle() async throws {
        let scene = try await PortScene(.http(text: "idle"))
        // Warm up: pools and tables grow once.
        try await exchange(scene, count: 200)
        try await eventually("the warm-up's connections are gone") { try scene.usage().descriptors < 100 }
        let before = try scene.usage()
        var visitors: [Visitor] = []
        for _ in 0..<5_000 {
            let visitor = try await Visitor(scene.gateway.address, scene.port)
            #expect(try await visitor.get("/", host: "a.b").status == 200)
            visitors.append(visitor)
        }
        let after = try scene.usage()
        let each = Double(after.residentKiB - before.residentKiB) / 5_000
        print("an idle visitor costs \(each) KiB, gateway and agent together")
        #expect(each <= 4)
        for visitor in visitors { await visitor.close() }
        try await eventually(within: 20, "every descriptor is given back") {
            try scene.usage().descriptors <= before.descriptors + 4
        }
    }

    @Test("10,000 short connections leak no descriptor")
    func shortConnections() async throws {
        let scene = try await PortScene(.http(text: "short"))
        let before = try scene.usage()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                let (address, port) = (scene.gateway.address, scene.port)
                group.addTask {
                    for _ in 0..<625 {
                        let answer = await fetch("/", host: "a.b", at: address, port)
                        #expect(answer?.status == 200)
                    }
                }
            }
            try await group.waitForAll()
        }
        try await eventually(within: 20, "every descriptor is given back") {
            try scene.usage().descriptors <= before.descriptors + 4
        }
    }

    @Test("1 GB goes through and comes back byte for byte, with half-close", .timeLimit(.minutes(4)))
    func gigabyte() async throws {
        let echo = try Loopback.freePort("127.0.0.1")
        try BlockingSocket.serveEcho(echo)
        let scene = try await PortScene(.echo, target: "127.0.0.1:\(echo)")
        let total = 1 << 30
        let counter = try await EchoCount.run(scene.gateway.address, scene.port, total: total)
        #expect(counter.received == total)
        #expect(counter.mismatches == 0)
        let usage = try scene.usage()
        #expect(usage.residentKiB < 400_000, "memory grew to \(usage.residentKiB) KiB")
    }

    @Test("a reader that stops and a sender that never ends are bounded in memory and hinder nobody")
    func stuckReader() async throws {
        let scene = try await PortScene(.stuck)
        let before = try scene.usage()
        let sender = try await EndlessSender.start(scene.gateway.address, scene.port)
        try await eventually(within: 20, "the sender is stopped by back-pressure") {
            try await sender.isStalled()
        }
        let after = try scene.usage()
        #expect(
            after.residentKiB - before.residentKiB < 64 * 1024,
            "grew by \(after.residentKiB - before.residentKiB) KiB"
        )
        let other = try await Visitor(scene.gateway.address, scene.port)
        try await other.send("still here")
        await other.close()
        await sender.stop()
    }

    private func exchange(_ scene: PortScene, count: Int) async throws {
        for _ in 0..<count { _ = await fetch("/", host: "a.b", at: scene.gateway.address, scene.port) }
    }
}

/// Sends a counting pattern, half-closes, and checks what an echo sends back.
enum EchoCount {
    struct Result: Sendable {
        var received = 0
        var mismatches = 0
    }

    /// The pattern; its period, 251, divides no buffer size.
    private static let pattern: [UInt8] = (0..<(251 * 2048)).map { UInt8($0 % 251) }

    static func run(_ address: String, _ port: UInt16, total: Int) async throws -> Result {
        let socket = try BlockingSocket.connected(address, port)
        Thread.detachNewThread {
            var left = total
            while left > 0, socket.write(pattern[..<min(left, pattern.count)]) { left -= min(left, pattern.count) }
            socket.finish()
        }
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: check(socket)) }
        }
    }

    private static func check(_ socket: BlockingSocket) -> Result {
        var result = Result()
        var buffer = [UInt8](repeating: 0, count: 251 * 1024)
        while true {
            let count = socket.read(into: &buffer)
            guard count > 0 else { return result }
            let offset = result.received % 251
            // The pattern is longer than the buffer by more than a period: one comparison of memory does.
            let isEqual = unsafe buffer.withUnsafeBytes { received in
                unsafe pattern.withUnsafeBytes {
                    unsafe memcmp(received.baseAddress!, $0.baseAddress! + offset, count) == 0
                }
            }
            if !isEqual { result.mismatches += 1 }
            result.received += count
        }
    }
}

/// Writes as fast as it is let, and knows when it is not let any more.
final class EndlessSender: Sendable {
    private let channel: any Channel
    private let bound: NIOLoopBound<Handler>

    private init(channel: any Channel, bound: NIOLoopBound<Handler>) {
        self.channel = channel
        self.bound = bound
    }

    static func start(_ address: String, _ port: UInt16) async throws -> EndlessSender {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let bound = try await loop.submit { NIOLoopBound(Handler(), eventLoop: loop) }.get()
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
            .connect(host: address, port: Int(port)).get()
        return EndlessSender(channel: channel, bound: bound)
    }

    /// Nothing more could be written for a second.
    func isStalled() async throws -> Bool {
        let before = try await channel.eventLoop.submit { self.bound.value.sent }.get()
        try await Task.sleep(for: .seconds(1))
        let after = try await channel.eventLoop.submit { self.bound.value.sent }.get()
        return before == after && before > 0
    }

    func stop() async { try? await channel.close().get() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        var sent = 0
        private let chunk = ByteBuffer(repeating: 0x62, count: 65_536)

        func channelActive(context: ChannelHandlerContext) { fill(context) }
        func channelWritabilityChanged(context: ChannelHandlerContext) { fill(context) }

        private func fill(_ context: ChannelHandlerContext) {
            while context.channel.isActive, context.channel.isWritable {
                sent += chunk.readableBytes
                context.writeAndFlush(wrapOutboundOut(chunk), promise: nil)
            }
        }
    }
}
