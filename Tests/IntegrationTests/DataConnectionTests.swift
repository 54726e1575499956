import Foundation
import TestSupport
import Testing

@Suite("reverse-raw, through real processes", .serialized)
struct DataConnections {
    private static let host = "bulk.gw.test.example"

    /// A gateway, an agent and a contract of mode reverse-raw; somebody listens between agent and gateway.
    private final class Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let tap: TunnelTap
        let contract: String
        let gatewayProcess: NodeProcess
        var agent: NodeProcess
        let forwards: [String]

        /// - Parameter target: where the exposure leads; its own echo when nil.
        init(target: ((Deployment) async throws -> String)? = nil) async throws {
            deployment = try await Deployment()
            var gateway = try await deployment.furnish(reserving: "bulk")
            let outside = gateway.tunnel
            gateway.tunnel = try Loopback.freePort(gateway.address)
            tap = try TunnelTap(gateway.address, listening: outside, to: gateway.tunnel)
            self.gateway = gateway
            try deployment.writeConfiguration(of: gateway)
            contract = try await deployment.makeContract(
                "user",
                gateways: [gateway],
                expose: ["{ id: bulk, kind: tls, hosts: [\(host)], backends: [b1] }"],
                names: ["bulk"],
                conn: "reverse-raw"
            )
            if let target {
                forwards = ["bulk=\(try await target(deployment))"]
            } else {
                let echo = try Loopback.freePort("127.0.0.1")
                try BlockingSocket.serveEcho(echo)
                forwards = ["bulk=127.0.0.1:\(echo)"]
            }
            gatewayProcess = try deployment.start(gateway)
            let deployment = deployment
            // An agent that dialed in vain would pause longer after a cut, by up to 30 s.
            try await eventually(within: 30, "the gateway answers") {
                (try? await deployment.status(of: gateway)) != nil
            }
            agent = try deployment.startAgent(contract: contract, forwards: forwards)
            try await eventually(within: 30, "connections wait for visitors") { try await spare() >= 4 }
        }

        func sessions() async throws -> [[String: Any]] {
            try await deployment.status(of: gateway)["sessions"] as? [[String: Any]] ?? []
        }

        func spare() async throws -> Int { try await sessions().reduce(0) { $0 + ($1["spare"] as? Int ?? 0) } }
        func streams() async throws -> Int { try await sessions().reduce(0) { $0 + ($1["streams"] as? Int ?? 0) } }

        /// Data connections that were refused for their token.
        func refusedTokens() async throws -> Int {
            let tunnel = try await deployment.status(of: gateway)["tunnel"] as? [String: Any]
            return (tunnel?["refused"] as? [String: Int])?["tokens"] ?? 0
        }

        /// A visitor whose hello came back from the echo.
        func visitor() throws -> BlockingSocket {
            let visitor = try BlockingSocket.connected(gateway.address, gateway.https)
            let hello = PlainHello.bytes(host)
            guard visitor.write(hello[...]), visitor.read(exactly: hello.count) == hello else {
                throw NeverHappened(description: "the hello does not come back")
            }
            return visitor
        }

        /// Sessions that the agent has lost so far, and dials that failed.
        var losses: Int { agent.output.split(separator: "\n").count { $0.contains(#""state":"lost""#) } }

        func descriptors() throws -> Int { try gatewayProcess.usage().descriptors + agent.usage().descriptors }
    }

    @Test("50 MB of a real TLS session go each way at once, byte for byte", .timeLimit(.minutes(3)))
    func realTLS() async throws {
        let box = Made()
        let scene = try await Scene { deployment in
            let made = try TLSPipe(in: deployment.folder, host: Self.host, size: 50_000_000, seed: 20)
            box.pipe = made
            return made.target
        }
        let made = try #require(box.pipe)
        #expect(try await made.exchange(scene.gateway.address, scene.gateway.https))
        #expect(!scene.tap.preambles.isEmpty, "nothing came over a data connection")
    }

    private final class Made {
        var pipe: TLSPipe?
        var workload: NodeProcess?
    }

    @Test(
        "bytes of a visitor whose connection ended in order reach a workload that is slow, though the session ends before",
        arguments: [true, false]
    )
    func lateReader(isDrained: Bool) async throws {
        let made = Made()
        let scene = try await Scene { deployment in
            made.workload = try await deployment.slowReader()
            return "unix:slow.sock"
        }
        // Much more than a Unix socket holds: the rest waits on the data connection.
        let bytes = PlainHello.bytes(Self.host) + [UInt8](repeating: 5, count: 600_000)
        let visitor = try BlockingSocket.connected(scene.gateway.address, scene.gateway.https)
        visitor.setDeadline(seconds: 20)
        let isEnded = await onThread {
            let isSent = visitor.write(bytes[...])
            visitor.finish()
            return isSent && visitor.readToEnd() == []
        }
        #expect(isEnded, "the visitor's connection ends in order")
        try await eventually("the gateway is done with the stream") { try await scene.streams() == 0 }
        if isDrained {
            scene.agent.send(SIGTERM)
            try await eventually("the gateway closes the sessions") { try await scene.sessions().isEmpty }
            #expect(scene.agent.isRunning)
        } else {
            let before = scene.losses
            scene.tap.cutSessions()
            try await eventually("the agent has lost both sessions") { scene.losses >= before + 2 }
        }
        try scene.deployment.releaseSlowReader()
        let got = try #require(try await made.workload?.finish().output)
        #expect(got.hasSuffix("got \(bytes.count)\n"), "\(got)")
        if isDrained { #expect(try await scene.agent.finish(within: 10).status == 0) }
    }

    @Test("200 visitors at once each get their own bytes and half-close, and every descriptor comes back")
    func parallel() async throws {
        let scene = try await Scene()
        _ = try scene.visitor()
        try await eventually("the first visitor has left") { try await scene.streams() == 0 }
        let before = try scene.descriptors()
        let (address, port) = (scene.gateway.address, scene.gateway.https)
        let exact = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask { await Self.isExact(address, port, UInt8(number), count: 100_000 + number) }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(exact == 200)
        try await eventually(within: 20, "the streams are gone") { try await scene.streams() == 0 }
        // Connections that wait for the next visitors, with both ends, may have become more: 64 for each session.
        try await eventually(within: 20, "every descriptor comes back") {
            let spare = try await scene.spare()
            return try scene.descriptors() <= before + 2 * spare
        }
        #expect(try await scene.refusedTokens() == 0)
    }

    /// A visitor who sends a hello and `count` bytes, half-closes, and gets the same back.
    private static func isExact(_ address: String, _ port: UInt16, _ byte: UInt8, count: Int) async -> Bool {
        let bytes = PlainHello.bytes(host) + [UInt8](repeating: byte, count: count)
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                guard let visitor = try? BlockingSocket.connected(address, port) else {
                    return continuation.resume(returning: false)
                }
                Thread.detachNewThread {
                    _ = visitor.write(bytes[...])
                    visitor.finish()
                }
                continuation.resume(returning: visitor.readToEnd() == bytes)
            }
        }
    }

    @Test("an abort of the visitor reaches the workload, and one of the workload the visitor")
    func abort() async throws {
        let port = try Loopback.freePort("127.0.0.1")
        let listener = try BlockingSocket.listening(port)
        let scene = try await Scene { _ in "127.0.0.1:\(port)" }
        let hello = PlainHello.bytes(Self.host)
        for isVisitors in [true, false] {
            var visitor: BlockingSocket? = try BlockingSocket.connected(scene.gateway.address, scene.gateway.https)
            #expect(visitor!.write(hello[...]))
            var workload = listener.accepted()
            #expect(workload?.read(exactly: hello.count) == hello)
            if isVisitors {
                visitor?.resetAtEnd()
                visitor = nil
                #expect(workload?.readToEnd() == nil)
            } else {
                workload?.resetAtEnd()
                workload = nil
                #expect(visitor?.readToEnd() == nil)
            }
        }
        try await eventually("nothing is left") { try await scene.streams() == 0 }
    }

    @Test("a token that was seen on the network opens nothing, and neither does one that comes after 5 s")
    func hostileTokens() async throws {
        let scene = try await Scene()
        let visitor = try scene.visitor()
        let seen = scene.tap.preambles
        #expect(seen.count >= 4 && seen.allSatisfy { $0.count == 37 && $0.starts(with: Array("WGWR1".utf8)) })
        for preamble in seen {
            let hostile = try BlockingSocket.connected(scene.gateway.address, scene.gateway.tunnel)
            #expect(hostile.write(preamble[...]))
            #expect((hostile.readToEnd() ?? []).isEmpty)
        }
        #expect(try await scene.refusedTokens() == seen.count)
        // The connection that the token was for is not touched.
        #expect(visitor.write([1, 2, 3]) && visitor.read(exactly: 3) == [1, 2, 3])

        // From here on every new connection shows its token 6 s late.
        scene.tap.hold(.seconds(6))
        var kept: [BlockingSocket] = []
        while try await scene.spare() > 0 { if let visitor = try? scene.visitor() { kept.append(visitor) } }
        try await eventually(within: 20, "the late tokens are refused") {
            try await scene.refusedTokens() > seen.count
        }
        let unlucky = try BlockingSocket.connected(scene.gateway.address, scene.gateway.https)
        #expect(unlucky.write(PlainHello.bytes(Self.host)[...]))
        #expect((unlucky.readToEnd() ?? []).isEmpty)
        #expect(visitor.write([4]) && visitor.read(exactly: 1) == [4])
    }

    @Test("when the session is cut its visitors are cut with it, and the next ones come through the next session")
    func sessionCut() async throws {
        let scene = try await Scene()
        let visitor = try scene.visitor()
        // A token that is being shown would die with its session.
        try await eventually("the connection that the visitor took is replaced") { try await scene.spare() >= 4 }
        scene.tap.cutSessions()
        let isCut = await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: (visitor.readToEnd() ?? []).isEmpty) }
        }
        #expect(isCut)
        try await eventually(within: 20, "connections wait again") { try await scene.spare() >= 4 }
        _ = try scene.visitor()
        #expect(try await scene.refusedTokens() == 0)
    }

    @Test("a killed agent and a cancelled contract both end the visitors that run")
    func ended() async throws {
        let scene = try await Scene()
        let first = try scene.visitor()
        try await scene.agent.killHard()
        #expect((first.readToEnd() ?? []).isEmpty)
        scene.agent = try scene.deployment.startAgent(contract: scene.contract, forwards: scene.forwards)
        try await eventually(within: 30, "connections wait again") { try await scene.spare() >= 4 }
        let second = try scene.visitor()
        try await scene.deployment.act("user", ["contract", "cancel", scene.contract])
        try await eventually(within: 10, "new visitors are refused") { (try? scene.visitor()) == nil }
        try await eventually(within: 10, "no connection waits") { try await scene.spare() == 0 }
        _ = second
    }

    @Test("silence and junk at the tunnel endpoint end within seconds and leave nothing")
    func junk() async throws {
        let scene = try await Scene()
        let before = try scene.gatewayProcess.usage().descriptors
        let junk = try [[], Array("WG".utf8), Array("WGWR1".utf8), Array("GET / HTTP/1.1\r\n\r\n".utf8), [0x16, 3, 1]]
            .map {
                (bytes: [UInt8]) -> BlockingSocket in
                let socket = try BlockingSocket.connected(scene.gateway.address, scene.gateway.tunnel)
                _ = socket.write(bytes[...])
                return socket
            }
        try await eventually(within: 15, "the gateway closes them") {
            try scene.gatewayProcess.usage().descriptors <= before
        }
        for socket in junk { #expect((socket.readToEnd() ?? []).count < 100) }
        _ = try scene.visitor()
    }
}
