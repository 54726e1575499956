import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing

@Suite("Contract changes under traffic")
struct ContractChanges {
    @Test("a contract accepted by the ledger is served within 2 s")
    func servedSoon() async throws {
        let scene = try await EndToEnd.Scene()
        try await scene.deployment.act("user", ["name", "reserve", "late"])
        let contract = try await scene.deployment.makeContract(
            "user",
            gateways: [scene.gateway],
            expose: ["{ id: web, kind: http, tls: none, hosts: [late.gw.test.example], backends: [b1] }"],
            names: ["late"]
        )
        let accepted = ContinuousClock.now
        // No agent names this contract: served means that the gateway knows the host and says that no agent is there.
        try await eventually(within: 2, "the gateway knows the new host") {
            await fetch("/", host: "late.gw.test.example", at: scene.gateway.address, scene.gateway.http)?.status == 503
        }
        print("known \(ContinuousClock.now - accepted) after the acknowledgement of \(contract.prefix(8))")
    }

    @Test("1,000 changes of other contracts drop none of 200 kept-alive connections", .timeLimit(.minutes(5)))
    func churn() async throws {
        let scene = try await EndToEnd.Scene()
        let crowd = try await Crowd(
            count: 200,
            address: scene.gateway.address,
            port: scene.gateway.http,
            host: scene.host
        )
        let lease = scene.gateway.leases.lowerBound
        let changer = try await ContractChanger(scene.deployment, gateway: scene.gateway, port: lease)
        try await changer.run(changes: 1_000)
        let report = await crowd.stop()
        #expect(report.dropped == 0, "\(report.dropped) connections were dropped")
        #expect(report.bad == 0, "\(report.bad) answers were not 200")
        #expect(report.answers > 200 * 20, "only \(report.answers) answers: the crowd did not keep sending")
        #expect(report.slowest < .seconds(10), "one answer took \(report.slowest)")
    }
}

/// Connections that each send a request every 50 ms for as long as it lasts.
final class Crowd: Sendable {
    struct Report: Sendable {
        var answers = 0
        var bad = 0
        var dropped = 0
        var slowest = Duration.zero
    }

    private let channels: [any Channel]
    private let members: [NIOLoopBound<Member>]

    init(count: Int, address: String, port: UInt16, host: String) async throws {
        let request = ByteBuffer(string: "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        var channels: [any Channel] = []
        var members: [NIOLoopBound<Member>] = []
        for _ in 0..<count {
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let member = try await loop.submit { NIOLoopBound(Member(request), eventLoop: loop) }.get()
            let channel = try await ClientBootstrap(group: loop)
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(member.value)
                    }
                }
                .connect(host: address, port: Int(port)).get()
            channels.append(channel)
            members.append(member)
        }
        self.channels = channels
        self.members = members
    }

    func stop() async -> Report {
        var total = Report()
        for (channel, member) in zip(channels, members) {
            guard
                let report = try? await channel.eventLoop.submit({
                    member.value.isStopping = true
                    return member.value.report
                }).get()
            else { continue }
            total.answers += report.answers
            total.bad += report.bad
            total.dropped += report.dropped
            total.slowest = max(total.slowest, report.slowest)
            try? await channel.close().get()
        }
        return total
    }

    private final class Member: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        var report = Report()
        var isStopping = false
        private let request: ByteBuffer
        private var received: [UInt8] = []
        private var sent = ContinuousClock.now

        init(_ request: ByteBuffer) { self.request = request }

        func channelActive(context: ChannelHandlerContext) { ask(context) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.append(contentsOf: unwrapInboundIn(data).readableBytesView)
            guard let answer = HTTPAnswer(received) else { return }
            report.answers += 1
            if answer.status != 200 { report.bad += 1 }
            report.slowest = max(report.slowest, ContinuousClock.now - sent)
            received = []
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(50)) { self.ask(context) }
        }

        func channelInactive(context: ChannelHandlerContext) { if !isStopping { report.dropped += 1 } }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func ask(_ context: ChannelHandlerContext) {
            guard !isStopping, context.channel.isActive else { return }
            sent = .now
            context.writeAndFlush(wrapOutboundOut(request), promise: nil)
        }
    }
}
