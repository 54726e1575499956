import Foundation
import TestSupport
import Testing

@Suite("Agents that are told to end", .serialized)
struct AgentDrainTests {
    private static let size = 12_000_000

    @Test(
        "SIGTERM: what runs over the agent ends in order, everybody else is with the other agent at once, nobody is lost",
        arguments: More.heavy ? [1, 2] : [2]
    )
    func drains(loops: Int) async throws {
        let replicas = try await Replicas(weights: ["a": 1, "b": 1], loops: loops)
        let (gateway, agent) = (replicas.gateways[0], replicas.agents["a"]!)
        // Each loop takes the agents in turn, so that some of four are with each.
        let downloads = try await begin(4, gateway)
        var kept: [Visitor] = []
        var names: Set<String> = []
        for _ in 0..<4 {
            let visitor = try await Visitor(gateway.address, gateway.http)
            names.insert(try await visitor.get("/", host: Replicas.host).body)
            kept.append(visitor)
        }
        #expect(names == ["a", "b"])
        let clients = (0..<4).map { _ in RetryingClient(gateways: [gateway], first: 0, isPost: true) }
        for client in clients { client.start() }
        try await eventually(within: 20, "all are under way") { clients.allSatisfy { $0.report.answered > 10 } }

        agent.send(SIGTERM)
        try await eventually(within: 10, "the gateway has the other agent alone for new visitors") {
            for _ in 0..<10 where await replicas.ask() != "b" { return false }
            return true
        }
        for _ in 0..<40 { #expect(await replicas.ask() == "b") }
        for visitor in kept {
            #expect(try await visitor.get("/", host: Replicas.host) == (200, "b"))
            await visitor.close()
        }
        for client in clients { client.stop() }
        for client in clients {
            let report = client.report
            print("\(loops) loops, POST: \(report)")
            #expect(report.lost == 0 && report.repeated == 0)
        }
        #expect(agent.isRunning, "\(agent.errors)")
        for download in downloads { #expect(await rest(of: download) == Self.size) }
        let finished = try await agent.finish(within: 15)
        #expect(finished.status == 0, "\(finished.errors)")
    }

    @Test("what runs longer than --drain is cut then, and a second SIGTERM cuts at once")
    func bound() async throws {
        let replicas = try await Replicas(weights: ["a": 1])
        let gateway = replicas.gateways[0]
        for (flags, signals, status) in [(["--drain", "2s"], 1, Int32(0)), ([], 2, 75)] {
            try await replicas.agents["a"]!.killHard()
            try replicas.startAgent("a", more: flags)
            let agent = replicas.agents["a"]!
            try await eventually(within: 30, "the page is served again") { await replicas.ask() == "a" }
            let download = try await begin(1, gateway)[0]
            let start = ContinuousClock.now
            agent.send(SIGTERM)
            if signals > 1 {
                try await eventually("the signal was taken") { agent.errors.contains("visitors have up to 30s") }
                agent.send(SIGTERM)
            }
            let finished = try await agent.finish(within: 20)
            let lasted = ContinuousClock.now - start
            print("\(flags), \(signals) signals: ended after \(lasted)")
            #expect(finished.status == status, "\(finished.errors)")
            #expect(signals > 1 || lasted >= .seconds(2))
            #expect(lasted < .seconds(10))
            #expect(await rest(of: download) < Self.size)
        }
    }

    /// Downloads of which each has its first bytes, and that do not end before they are read.
    private func begin(_ count: Int, _ gateway: Deployment.Gateway) async throws -> [BlockingSocket] {
        var result: [BlockingSocket] = []
        for _ in 0..<count {
            let socket = try BlockingSocket.connected(gateway.address, gateway.http)
            socket.setDeadline(seconds: 20)
            let head = "GET /bytes/\(Self.size) HTTP/1.1\r\nHost: \(Replicas.host)\r\nConnection: close\r\n\r\n"
            #expect(socket.write(Array(head.utf8)[...]))
            let isAnswered = await onThread {
                var buffer = [UInt8](repeating: 0, count: 1)
                return socket.read(into: &buffer) == 1
            }
            #expect(isAnswered)
            result.append(socket)
        }
        return result
    }

    /// Bytes of the body that come until the end.
    private func rest(of download: BlockingSocket) async -> Int {
        await onThread {
            var bytes: [UInt8] = []
            var (buffer, total, headLength) = ([UInt8](repeating: 0, count: 1 << 18), 0, Int?.none)
            while case let count = download.read(into: &buffer), count > 0 {
                total += count
                guard headLength == nil else { continue }
                bytes += buffer[..<count]
                let text = String(decoding: bytes, as: UTF8.self)
                headLength = text.range(of: "\r\n\r\n").map { text[..<$0.upperBound].utf8.count }
            }
            return total - (headLength ?? 0)
        }
    }
}
