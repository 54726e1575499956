import Contracts
import Foundation
import TestSupport
import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("Hostile agents at a gateway of its own process", .serialized)
struct HostileAgentTests {
    /// One way to break the rules.
    private struct Attack: Sendable {
        var name: String
        var code: GoAwayCode
        /// Its word in `status`.
        var reason: String
        var isGreeted = true
        /// What it does once it was welcomed; the stream is one that a visitor waits on.
        var act: @Sendable (RawAgent, Identifier) -> Void

        init(
            _ name: String,
            _ code: GoAwayCode = .protocolViolation,
            isGreeted: Bool = true,
            _ act: @escaping @Sendable (RawAgent, Identifier) -> Void
        ) {
            self.name = name
            self.code = code
            reason = code.rawValue
            self.isGreeted = isGreeted
            self.act = act
        }

        static func onStream(
            _ name: String,
            _ code: GoAwayCode = .protocolViolation,
            _ act: @escaping @Sendable (RawAgent, UInt32) -> Void
        ) -> Attack {
            Attack(name, code) { agent, _ in if let open = agent.read(.open) { act(agent, open.stream) } }
        }

        var needsVisitor: Bool { name.contains("stream") || code == .flow }
    }

    private static let attacks: [Attack] = [
        Attack("an unknown frame type") { agent, _ in agent.send(RawFrame.bytes(99, 0, [])) },
        Attack("a frame that only gateways send") { agent, id in
            agent.send(.open, 3, StreamOpen(contract: id, expose: "web", kind: "http", peer: "192.0.2.1:1").payload)
        },
        Attack("a control frame over its limit") { agent, _ in
            agent.send(RawFrame.bytes(FrameType.update.rawValue, 0, [], length: 16_385))
        },
        Attack("a frame of 16 MiB") { agent, _ in
            agent.send(RawFrame.bytes(FrameType.data.rawValue, 1, [], length: 0xFF_FFFF))
        },
        Attack("HELLO again") { agent, id in agent.send(.hello, 0, RawAgent.hello([id]).payload) },
        Attack("UPDATE in the name of another agent") { agent, id in
            agent.send(.update, 0, RawAgent.hello([id], instance: 9).payload)
        },
        Attack("usage that nobody asked for") { agent, id in
            let subject = UsageSubject(contract: id, node: .zero)
            agent.send(.usage, 0, UsageStatement(subject: subject, totals: UsageTotals(), until: 1).payload)
        },
        Attack("HEALTH that is no JSON") { agent, _ in agent.send(.health, 0, [0x7B]) },
        Attack("data that no visitor opened") { agent, _ in agent.send(.data, 77, [1]) },
        Attack("data at an even number") { agent, _ in agent.send(.data, 2, [1]) },
        Attack("something else than HELLO first", isGreeted: false) { agent, id in
            agent.send(.update, 0, RawAgent.hello([id]).payload)
        },
        Attack("a HELLO that is no JSON", isGreeted: false) { agent, _ in agent.send(.hello, 0, [0x22]) },
        Attack("another version", .version, isGreeted: false) { agent, id in
            var hello = RawAgent.hello([id])
            hello.version = 2
            agent.send(.hello, 0, hello.payload)
        },
        .onStream("data after the end of a stream") { agent, stream in
            agent.send(.finish, stream)
            agent.send(.data, stream, [1])
        },
        .onStream("two ends of a stream") { agent, stream in
            agent.send(.finish, stream)
            agent.send(.finish, stream)
        },
        .onStream("an empty frame of data on a stream") { agent, stream in agent.send(.data, stream) },
        .onStream("more than the window of a stream", .flow) { agent, stream in
            let chunk = [UInt8](repeating: 0x61, count: 65_536)
            for _ in 0..<1024 where !agent.send(.data, stream, chunk) { return }
        },
        .onStream("a window of a stream beyond its limit", .flow) { agent, stream in
            for _ in 0..<2 { agent.send(.window, stream, [0xFF, 0xFF, 0xFF, 0xFF]) }
        },
    ]

    @Test("each broken rule ends the session with its GOAWAY, is counted, and another contract's page is served on")
    func rules() async throws {
        let scene = try await TwoContracts()
        let (gateway, key, id) = (scene.gateway, scene.hostileKey, scene.hostile)
        for attack in Self.attacks {
            let before = try await scene.refused()
            // The visitor's connection stays open until the attack is over.
            var visitor: BlockingSocket?
            let ready = AsyncStream<Bool>.makeStream()
            let end = Task {
                await onThread { () -> GoAwayCode? in
                    guard let agent = try? RawAgent(gateway, key: key), agent.handshake(),
                        !attack.isGreeted || agent.greet([id])?.accepted == [id]
                    else {
                        ready.continuation.yield(false)
                        return nil
                    }
                    ready.continuation.yield(true)
                    attack.act(agent, id)
                    return agent.goAway()?.code
                }
            }
            var isReady = false
            for await value in ready.stream {
                isReady = value
                break
            }
            #expect(isReady, "\(attack.name): not welcome")
            if attack.needsVisitor { visitor = scene.visitor() }
            let code = await end.value
            #expect(code == attack.code, "\(attack.name)")
            try await scene.expectOneMore(attack.reason, than: before, attack.name)
            #expect(await scene.page()?.body == TwoContracts.honestText, "\(attack.name)")
            withExtendedLifetime(visitor) {}
        }
    }

    @Test("an agent gets no visitor of a contract that its key is no backend of, whatever it names, and spoils none")
    func otherContract() async throws {
        let scene = try await TwoContracts()
        let (gateway, key) = (scene.gateway, scene.hostileKey)
        let (honest, hostile) = (scene.honest, scene.hostile)
        let isOver = Flag()
        let talk = Task {
            await onThread { () -> (refused: [RefusalCode], foreign: Int, own: Int) in
                guard let agent = try? RawAgent(gateway, key: key), agent.handshake(),
                    let welcome = agent.greet([honest, hostile])
                else { return ([], -1, -1) }
                // It says that the honest workload is down, claims it anew, and answers everything with its own bytes.
                let health = #"{"backends":[{"contract":"\#(honest.hex)","expose":"web","ok":false}]}"#
                agent.send(.health, 0, Array(health.utf8))
                agent.send(.update, 0, RawAgent.hello([honest, hostile]).payload)
                var (foreign, own) = (0, 0)
                let body = TwoContracts.hostileText
                let answer = Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
                while !isOver.isSet, let frame = agent.readFrame() {
                    if frame.type == FrameType.ping.rawValue { agent.send(.pong, 0, frame.payload) }
                    guard frame.type == FrameType.open.rawValue, let open = StreamOpen(frame.payload) else { continue }
                    if open.contract == hostile { own += 1 } else { foreign += 1 }
                    agent.send(.data, frame.stream, answer)
                }
                return (welcome.refused.map(\.code), foreign, own)
            }
        }
        try await eventually("the hostile agent's own page is its own") {
            await fetch("/", host: TwoContracts.hostileHost, at: gateway.address, gateway.http)?.body
                == TwoContracts.hostileText
        }
        var bodies: [String: Int] = [:]
        for _ in 0..<200 { bodies[await scene.page()?.body ?? "none", default: 0] += 1 }
        #expect(bodies == [TwoContracts.honestText: 200])
        isOver.set()
        _ = await fetch("/", host: TwoContracts.hostileHost, at: gateway.address, gateway.http)
        let result = await talk.value
        #expect(result.refused == [.keyNotBackend])
        #expect(result.foreign == 0 && result.own > 0)
        let sessions = try await scene.deployment.status(of: gateway)["sessions"] as? [[String: Any]] ?? []
        let mine = sessions.filter { $0["key"] as? String == key.publicKey.hex }
        #expect(mine.allSatisfy { $0["contracts"] as? [String] == [hostile.hex] })
    }

    @Test("a key that no contract names is told so in WELCOME, let go with `revoked` after 10 s, and counted")
    func stranger() async throws {
        let scene = try await TwoContracts()
        let before = try await scene.refused()
        let (gateway, honest) = (scene.gateway, scene.honest)
        let key = try TwinMaker.freshKey()
        let answer = await onThread { () -> (Welcome?, GoAwayCode?) in
            guard let agent = try? RawAgent(gateway, key: key), agent.handshake() else { return (nil, nil) }
            return (agent.greet([honest]), agent.goAway()?.code)
        }
        #expect(answer.0?.accepted == [] && answer.0?.refused.map(\.code) == [.keyNotBackend])
        #expect(answer.1 == .revoked)
        try await scene.expectOneMore("unadmitted", than: before, "the stranger")
    }

    @Test("silence before TLS, silence after it, and a HELLO without end each meet a deadline of 5 s, and are counted")
    func silence() async throws {
        let scene = try await TwoContracts()
        let before = try await scene.refused()
        let (gateway, key) = (scene.gateway, scene.hostileKey)
        /// Seconds until the gateway ended the connection.
        @Sendable func lasts(_ act: @escaping @Sendable (RawAgent) -> Void) async -> Double {
            await onThread {
                let start = ContinuousClock.now
                guard let agent = try? RawAgent(gateway, key: key) else { return -1 }
                act(agent)
                while agent.readFrame() != nil {}
                return (ContinuousClock.now - start) / .seconds(1)
            }
        }
        async let mute = lasts { agent in
            var buffer = [UInt8](repeating: 0, count: 16)
            while agent.socket.read(into: &buffer) > 0 {}
        }
        async let silent = lasts { _ = $0.handshake() }
        async let endless = lasts { agent in
            guard agent.handshake() else { return }
            agent.send(RawFrame.bytes(FrameType.hello.rawValue, 0, [0x7B], length: 16_384))
            while agent.send([0x20]) { usleep(300_000) }
        }
        for (name, seconds) in [("mute", await mute), ("silent", await silent), ("endless", await endless)] {
            print("a \(name) agent was ended after \(seconds) s")
            #expect((4.5...7).contains(seconds), "\(name): \(seconds) s")
        }
        var wanted = before
        wanted["handshake", default: 0] += 1
        wanted["silent", default: 0] += 2
        try await eventually("all are counted") { try await scene.refused() == wanted }
    }

    @Test(
        "TLS without a certificate, with a chain, another kind of key, an old version or another ALPN name is refused"
    )
    func carrier() async throws {
        let scene = try await TwoContracts()
        let deployment = scene.deployment
        try await deployment.shell(
            """
            set -e
            openssl req -x509 -newkey ed25519 -nodes -keyout own.k -out own.c -subj /CN=own -days 9
            openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.k -out rsa.c -subj /CN=rsa -days 9
            openssl req -newkey ed25519 -nodes -keyout leaf.k -out leaf.r -subj /CN=leaf
            openssl x509 -req -in leaf.r -CA own.c -CAkey own.k -out leaf.c -days 9
            """
        )
        let alpn = "-alpn webgw-tunnel/1"
        for (name, flags) in [
            ("no certificate", alpn), ("an RSA key", "\(alpn) -cert rsa.c -key rsa.k"),
            ("a chain", "\(alpn) -cert leaf.c -key leaf.k -cert_chain own.c"),
            ("TLS 1.2", "\(alpn) -cert own.c -key own.k -tls1_2"),
            ("another ALPN name", "-alpn h2 -cert own.c -key own.k"), ("no ALPN name", "-cert own.c -key own.k"),
        ] {
            let before = try await scene.refused()
            _ = try await deployment.shell(
                "timeout 10 openssl s_client -connect \(scene.gateway.address):\(scene.gateway.tunnel) -ign_eof \(flags)"
                    + " < /dev/null; true"
            )
            try await scene.expectOneMore("handshake", than: before, name)
        }
        // The same program with what the protocol asks for gets through, and is missed only at HELLO.
        let before = try await scene.refused()
        let good =
            "timeout 10 openssl s_client -connect \(scene.gateway.address):\(scene.gateway.tunnel) -brief -ign_eof"
        let text = try await deployment.shell("\(good) \(alpn) -cert own.c -key own.k 2>&1 < /dev/null; true")
        #expect(text.contains("TLSv1.3") && text.contains("TLS_AES_128_GCM_SHA256"), "\(text)")
        try await scene.expectOneMore("silent", than: before, "an agent without HELLO")
        #expect(await scene.page()?.body == TwoContracts.honestText)
    }

    @Test("an agent that asks without end and never reads is cut off, and costs no memory")
    func neverReads() async throws {
        let scene = try await TwoContracts()
        let (gateway, key, id) = (scene.gateway, scene.hostileKey, scene.hostile)
        let before = try scene.process.usage()
        let ended = await onThread { () -> Bool in
            guard let agent = try? RawAgent(gateway, key: key), agent.handshake(), agent.greet([id]) != nil else {
                return false
            }
            let pings = [UInt8](
                (0..<4096).flatMap { _ in RawFrame.bytes(FrameType.ping.rawValue, 0, [1, 2, 3, 4, 5, 6, 7, 8]) }
            )
            for _ in 0..<4096 where !agent.send(pings) { return true }
            return false
        }
        #expect(ended, "256 MiB of pings were taken")
        try await eventually(within: 15, "its session is gone") {
            let sessions = try await scene.deployment.status(of: gateway)["sessions"] as? [[String: Any]] ?? []
            return !sessions.contains { $0["key"] as? String == key.publicKey.hex }
        }
        let after = try scene.process.usage()
        print("a flood of pings: \(after.residentKiB - before.residentKiB) KiB more")
        #expect(after.residentKiB - before.residentKiB < 16 << 10)
        #expect(await scene.page()?.status == 200)
    }
}
