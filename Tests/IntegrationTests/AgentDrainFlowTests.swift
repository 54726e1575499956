import Foundation
import TestSupport
import Testing

@Suite("Agents that are told to end, beside streams of a session", .serialized)
struct AgentDrainFlowTests {
    private static let host = "bulk.gw.test.example"
    private static let (a, b) = (UInt8(ascii: "a"), UInt8(ascii: "b"))

    /// Two agents of a reverse-raw contract and of one with a UDP port, each beside echoes that say its letter first.
    private final class Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        private let gatewayProcess: NodeProcess
        private(set) var agents: [UInt8: NodeProcess] = [:]
        private var workloads: [DatagramSocket] = []

        var port: UInt16 { gateway.leases.lowerBound }

        init() async throws {
            deployment = try await Deployment()
            try await deployment.makeTwin("farmer")
            try await deployment.makeTwin("user")
            let gateway = try await deployment.makeGateway("gw1", farmer: "farmer", domain: "gw.test.example")
            self.gateway = gateway
            try await deployment.act("user", ["name", "reserve", "bulk"])
            for name in ["a", "b"] { try await deployment.run(["keys", "new", "\(name).key"]) }
            let rules = [
                ("reverse-raw", "{ id: bulk, kind: tls, hosts: [\(host)] }", "[bulk]"),
                ("reverse-tls", "{ id: dns, kind: udp, ports: [\(gateway.leases.lowerBound)] }", "[]"),
            ]
            var contracts: [String] = []
            for (conn, expose, names) in rules {
                try deployment.write(
                    "\(conn).yaml",
                    """
                    gateways: ["\(gateway.node)"]
                    conn: \(conn)
                    backends: [ { id: b1, key: a.key.pub }, { id: b2, key: b.key.pub } ]
                    expose: [ \(expose) ]
                    names: \(names)
                    valid: 1d
                    """
                )
                let made = try await deployment.act("user", ["contract", "create", "\(conn).yaml"]).json()
                contracts.append(made["id"] as? String ?? "")
            }
            gatewayProcess = try deployment.start(gateway)
            for letter in [a, b] {
                let name = String(UnicodeScalar(letter))
                let echo = try Loopback.freePort("127.0.0.1")
                try BlockingSocket.serveEcho(echo, first: [letter])
                let datagrams = try DatagramSocket("127.0.0.1")
                datagrams.serveEcho(first: [letter])
                workloads.append(datagrams)
                try deployment.write(
                    "agent-\(name).yaml",
                    """
                    ledger: { urls: ["\(deployment.ledgerURL)"], id: "\(deployment.ledgerID)", dev: true }
                    key: \(name).key
                    state: state-agent-\(name)
                    drain: 8s
                    contracts:
                      "\(contracts[0])": { bulk: "127.0.0.1:\(echo)" }
                      "\(contracts[1])": { dns: "127.0.0.1:\(datagrams.port)" }
                    """
                )
                agents[letter] = try NodeProcess(
                    "agent-\(name)",
                    ["tunnel", "--config", "agent-\(name).yaml", "--json"],
                    in: deployment.folder
                )
            }
            for agent in agents.values {
                try await eventually(within: 20, "\(agent.name) serves") {
                    agent.output.contains(#""state":"serving""#)
                }
            }
        }

        /// A visitor over a data connection whose hello came back, and the letter of the agent; nil when it was cut.
        func visitor() async -> (socket: BlockingSocket, letter: UInt8)? {
            guard let socket = try? BlockingSocket.connected(gateway.address, gateway.https) else { return nil }
            socket.setDeadline(seconds: 20)
            let hello = PlainHello.bytes(host)
            let answer = await onThread { socket.write(hello[...]) ? socket.read(exactly: hello.count + 1) : [] }
            return answer.dropFirst().elementsEqual(hello) ? (socket, answer[0]) : nil
        }

        /// A visitor with datagrams, and the letter of the agent that answered the first.
        func flow() async throws -> (socket: DatagramSocket, letter: UInt8)? {
            let socket = try DatagramSocket("127.0.0.1")
            let answer = await socket.ask([7], at: gateway.address, port)
            return answer?.count == 2 ? (socket, answer![0]) : nil
        }
    }

    @Test(
        "SIGTERM: a data connection and a datagram flow go on over the agent that leaves, new ones are with the other agent at once"
    )
    func drains() async throws {
        let scene = try await Scene()
        let agent = scene.agents[Self.a]!
        let kept = try await awaited("a visitor is with the first agent", within: 20) {
            await scene.visitor().flatMap { $0.letter == Self.a ? $0.socket : nil }
        }
        let flow = try await awaited("a flow is with the first agent", within: 20) {
            try await scene.flow().flatMap { $0.letter == Self.a ? $0.socket : nil }
        }

        agent.send(SIGTERM)
        let told = ContinuousClock.now
        // They were taken in turn, so that one with the other agent says nothing.
        try await eventually(within: 5, "new visitors and flows are with the other agent") {
            for _ in 0..<4 {
                guard await scene.visitor()?.letter == Self.b, try await scene.flow()?.letter == Self.b else {
                    return false
                }
            }
            return true
        }
        for _ in 0..<5 {
            #expect(await scene.visitor()?.letter == Self.b)
            #expect(try await scene.flow()?.letter == Self.b)
        }
        #expect(await flow.ask([1, 2], at: scene.gateway.address, scene.port) == [Self.a, 1, 2])
        let bytes = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }
        Thread.detachNewThread {
            _ = kept.write(bytes[...])
            kept.finish()
        }
        #expect(await onThread { kept.readToEnd() } == bytes)
        #expect(agent.isRunning, "\(agent.errors)")

        let finished = try await agent.finish(within: 15)
        print(
            "the agent ended \(ContinuousClock.now - told) after SIGTERM, with a flow that had not ended; drain is 8 s"
        )
        #expect(finished.status == 0, "\(finished.errors)")
        #expect(ContinuousClock.now - told >= .seconds(7))
        #expect(await flow.ask([3], at: scene.gateway.address, scene.port) == [Self.b, 3])
    }

    @Test("bytes whose stream ended in order reach a workload that is slow, though the session closes before")
    func lateReader() async throws {
        let scene = try await ProgramScene(["tcp"]) { deployment, _ in
            ("unix:slow.sock", try await deployment.slowReader())
        }
        let (agent, workload) = (scene.agent, scene.workload)
        // More than a Unix socket holds, and less than that and the stream's first window.
        let count = 320_000
        let visitor = try BlockingSocket.connected(scene.gateway.address, scene.port)
        visitor.setDeadline(seconds: 20)
        let isEnded = await onThread {
            let isSent = visitor.write([UInt8](repeating: 5, count: count)[...])
            visitor.finish()
            return isSent && visitor.readToEnd() == []
        }
        #expect(isEnded, "the visitor's connection ends in order")
        func sessions() async throws -> [[String: Any]] {
            try await scene.deployment.status(of: scene.gateway)["sessions"] as? [[String: Any]] ?? []
        }
        try await eventually("the gateway is done with the stream") {
            try await sessions().allSatisfy { $0["streams"] as? Int == 0 }
        }
        agent.send(SIGTERM)
        try await eventually("the gateway closes the sessions") { try await sessions().isEmpty }
        #expect(agent.isRunning)
        try scene.deployment.releaseSlowReader()
        let got = try await workload.finish().output
        #expect(got.hasSuffix("got \(count)\n"), "\(got)")
        #expect(try await agent.finish(within: 10).status == 0)
    }
}
