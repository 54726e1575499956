import Contracts
import Foundation
import TestSupport
import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("Faults between agent and gateway", .serialized)
struct FaultTests {
    /// A page whose agent reaches its gateway over a network that a test makes worse.
    private final class Scene {
        let deployment: Deployment
        let gateway: Deployment.Gateway
        let proxy: FaultProxy
        let gatewayProcess: NodeProcess
        let agent: NodeProcess
        private let origin: Origin
        static let host = "shop.gw.test.example"

        init() async throws {
            deployment = try await Deployment()
            gateway = try await deployment.furnish(reserving: "shop")
            // The ledger names the proxy as the gateway's endpoint.
            var bound = gateway
            bound.tunnel = try Loopback.freePort(gateway.address)
            try deployment.writeConfiguration(of: bound)
            proxy = try await FaultProxy.start(
                gateway.address,
                port: gateway.tunnel,
                to: bound.address,
                bound.tunnel
            )
            origin = try await Origin.start(.http(text: "a private page"))
            let contract = try await deployment.makeContract(
                "user",
                gateways: [gateway],
                expose: ["{ id: web, kind: http, tls: none, hosts: [\(Self.host)], backends: [b1] }"],
                names: ["shop"]
            )
            gatewayProcess = try deployment.start(gateway)
            agent = try deployment.startAgent(contract: contract, forwards: ["web=\(origin.target)"])
            try await served(within: 30)
        }

        func page(_ path: String = "/") async -> (status: Int, body: String)? {
            await fetch(path, host: Self.host, at: gateway.address, gateway.http)
        }

        /// Waits until both sessions stand and the page is served.
        func served(within seconds: Double) async throws {
            try await eventually(within: seconds, "both sessions stand and the page is served") {
                guard await page()?.status == 200 else { return false }
                return try await deployment.sessions(of: gateway).count == 2
            }
        }

        /// The connections of the agent that the gateway knows.
        func peers() async throws -> Set<String> {
            Set(try await deployment.sessions(of: gateway).compactMap { $0["peer"] as? String })
        }

        func usage() throws -> (residentKiB: Int, descriptors: Int) {
            let (one, other) = (try gatewayProcess.usage(), try agent.usage())
            return (one.residentKiB + other.residentKiB, one.descriptors + other.descriptors)
        }
    }

    @Test(
        "sessions that went silent without an end are found dead within 5 s and replaced",
        arguments: [FaultProxy.Silence.both, .toServer, .toClient]
    )
    func silence(_ silence: FaultProxy.Silence) async throws {
        let scene = try await Scene()
        let before = try scene.usage()
        let old = try await scene.peers()
        #expect(old.count == 2)
        let start = ContinuousClock.now
        let silenced = scene.proxy.silence(silence)
        // Where one direction is sound, the end that hears nothing tells the other.
        try await eventually(within: 15, "the silent sessions are given up") {
            (silence == .toClient || silenced.byServer.count == 2)
                && (silence == .toServer || silenced.byClient.count == 2)
        }
        try await scene.served(within: 15)
        let served = ContinuousClock.now - start
        #expect(try await scene.peers().isDisjoint(with: old))
        print("\(silence): given up by the gateway after \(silenced.byServer), by the agent after \(silenced.byClient)")
        print("\(silence): served again after \(served)")
        #expect((silenced.byServer + silenced.byClient).allSatisfy { $0 <= .seconds(5) })
        #expect(served < .seconds(8))
        try await eventually("every descriptor is given back") {
            try scene.usage().descriptors <= before.descriptors + 4
        }
    }

    @Test(
        "sessions live on when each byte takes 1.1 s, though nothing but questions and answers goes over them",
        .enabled(if: More.heavy, "`scripts/test-more.sh heavy` runs it")
    )
    func farAway() async throws {
        let scene = try await Scene()
        scene.proxy.set { $0.latency = .milliseconds(1100) }
        let old = try await scene.peers()
        try await Task.sleep(for: .seconds(25))
        #expect(try await scene.peers() == old)
        #expect(await scene.page()?.status == 200)
    }

    @Test("sessions that are reset, and new ones refused, come back by themselves each time, and leak nothing")
    func resets() async throws {
        let scene = try await Scene()
        let before = try scene.usage()
        for _ in 0..<2 {
            let old = try await scene.peers()
            scene.proxy.set { $0.isRefusing = true }
            scene.proxy.resetAll()
            let accepted = scene.proxy.accepted
            try await eventually(within: 20, "the agent tries again") { scene.proxy.accepted >= accepted + 2 }
            scene.proxy.set { $0.isRefusing = false }
            try await scene.served(within: 30)
            #expect(try await scene.peers().isDisjoint(with: old))
        }
        try await eventually("every descriptor is given back") {
            try scene.usage().descriptors <= before.descriptors + 4
        }
    }

    @Test("bytes arrive whole over a line of 50 ms each way, and in slices of 7 bytes")
    func slowLine() async throws {
        let scene = try await Scene()
        scene.proxy.set { $0.latency = .milliseconds(50) }
        let start = ContinuousClock.now
        #expect(await scene.page("/bytes/8000000")?.body.utf8.count == 8_000_000)
        print("8 MB with 50 ms each way: \(ContinuousClock.now - start)")
        scene.proxy.set { $0.latency = .zero }
        scene.proxy.set { $0.slice = 7 }
        #expect(await scene.page("/bytes/300000")?.body.utf8.count == 300_000)
        #expect(try await scene.peers().count == 2)
    }

    @Test("a bit that turns over on the way ends the session, and no visitor sees it")
    func corruption() async throws {
        let scene = try await Scene()
        scene.proxy.set { $0.isCorrupting = true }
        var seen: Set<String> = []
        for _ in 0..<40 {
            guard let answer = await scene.page(), answer.status == 200 else { continue }
            seen.insert(answer.body)
        }
        #expect(seen.isSubset(of: ["a private page"]), "\(seen)")
        scene.proxy.set { $0.isCorrupting = false }
        try await scene.served(within: 40)
    }

    @Test("hundreds of agents that come and break off in every phase leave no session, descriptor or memory behind")
    func reconnects() async throws {
        let scene = try await TwoContracts()
        let count = More.heavy ? 10_000 : 500
        try await breakOff(scene, 100)
        try await settled(scene)
        let before = try scene.process.usage()
        let start = ContinuousClock.now
        try await breakOff(scene, count)
        try await settled(scene)
        let after = try scene.process.usage()
        print(
            "\(count) reconnects in \(ContinuousClock.now - start): \(after.residentKiB - before.residentKiB) KiB and "
                + "\(after.descriptors - before.descriptors) descriptors more"
        )
        #expect(after.descriptors <= before.descriptors + 2)
        #expect(after.residentKiB - before.residentKiB < 8 << 10)
        #expect(await scene.page()?.body == TwoContracts.honestText)
    }

    /// Agents of the second contract that end in one of five ways, eight at a time.
    private func breakOff(_ scene: TwoContracts, _ count: Int) async throws {
        let (gateway, id) = (scene.gateway, scene.hostile)
        let context = try RawAgent.context(scene.hostileKey)
        await withTaskGroup(of: Void.self) { group in
            for lane in 0..<8 {
                group.addTask {
                    await onThread {
                        for number in 0..<(count / 8) {
                            guard let agent = try? RawAgent(gateway, context: context) else { continue }
                            Self.breakOff(agent, id, lane: lane, number)
                        }
                    }
                }
            }
        }
    }

    private static func breakOff(_ agent: RawAgent, _ id: Identifier, lane: Int, _ number: Int) {
        if number % 5 != 3 { agent.socket.resetOnClose() }
        guard number % 5 != 0, agent.handshake(), number % 5 != 1 else { return }
        // Half of them take the sessions of the others over.
        _ = agent.greet([id], instance: number % 2 == 0 ? 1 : UInt8(lane + 2), slot: Int64(lane))
        if number % 5 == 4 { agent.send(RawFrame.bytes(FrameType.update.rawValue, 0, [0x7B], length: 900)) }
    }

    private func settled(_ scene: TwoContracts) async throws {
        try await eventually(within: 20, "the honest agent's sessions alone are left") {
            try await scene.deployment.sessions(of: scene.gateway).count == 2
        }
    }

    @Test("an agent that still talks, but takes nothing of what a visitor sends, is given up, and the visitor let go")
    func stoppedReader() async throws {
        let scene = try await TwoContracts()
        let (gateway, key, id) = (scene.gateway, scene.hostileKey, scene.hostile)
        let before = try scene.process.usage()
        let isOver = Flag()
        let agent = Task {
            await onThread { () -> Double in
                guard let agent = try? RawAgent(gateway, key: key), agent.handshake(), agent.greet([id]) != nil,
                    agent.read(.open) != nil
                else { return -1 }
                let start = ContinuousClock.now
                // Unasked answers are fine; they say that somebody is there.
                while !isOver.isSet, agent.send(.pong, 0, [0, 0, 0, 0, 0, 0, 0, 0]) {
                    // Ask for more than the kernel holds.
                    agent.send(.window, 1, [0, 0x40, 0, 0])
                    usleep(500_000)
                    if ContinuousClock.now - start > .seconds(40) { break }
                }
                return (ContinuousClock.now - start) / .seconds(1)
            }
        }
        // A session is listed from its handshake on, and serves from its HELLO on.
        try await eventually("the agent serves its contract") {
            try await scene.deployment.sessions(of: gateway).contains { $0["contracts"] as? [String] == [id.hex] }
        }
        let visitor = Task {
            await onThread { () -> Bool in
                guard let socket = try? BlockingSocket.connected(gateway.address, gateway.http) else { return false }
                socket.setDeadline(seconds: 60)
                let head = "POST / HTTP/1.1\r\nHost: \(TwoContracts.hostileHost)\r\nContent-Length: 99999999999\r\n\r\n"
                guard socket.write(Array(head.utf8)[...]) else { return false }
                let chunk = [UInt8](repeating: 0x61, count: 65_536)
                while socket.write(chunk[...]) {}
                return true
            }
        }
        let lasted = await agent.value
        isOver.set()
        #expect(await visitor.value)
        print("an agent that stopped reading was given up after \(lasted) s")
        #expect((0..<15).contains(lasted))
        let after = try scene.process.usage()
        #expect(after.residentKiB - before.residentKiB < 24 << 10)
        #expect(await scene.page()?.status == 200)
    }
}

extension Deployment {
    /// The agents' sessions that a gateway's status lists; none while it does not answer.
    func sessions(of gateway: Gateway) async throws -> [[String: Any]] {
        let finished = try await run(["status", "--config", gateway.configuration, "--json"], status: nil)
        return (try? finished.json())?["sessions"] as? [[String: Any]] ?? []
    }
}
