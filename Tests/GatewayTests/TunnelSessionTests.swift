import Contracts
import Glibc
import Logging
import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("Tunnel sessions", .serialized)
struct TunnelSessionTests {
    private static func backend(_ seed: UInt8) throws -> PublicKey {
        try SigningKey(seed: [UInt8](repeating: seed, count: 32)).publicKey
    }

    private static func gateway(limits: TunnelLimits = TunnelLimits()) throws -> TestGateway {
        try TestGateway(backend: backend(5), limits: limits)
    }

    /// Runs a dialogue of a raw agent with a gateway off the shared pool.
    private static func talk<Result: Sendable>(
        to gateway: TestGateway,
        seed: UInt8 = 5,
        _ body: @escaping @Sendable (RawPeer) -> Result
    ) async throws -> Result {
        let result = await blocking { () -> Result? in
            guard let peer = try? RawPeer(dialing: gateway, seed: seed), peer.handshake() else { return nil }
            return body(peer)
        }
        guard let result else { throw TestFailure("no TLS") }
        return result
    }

    @Test("WELCOME says what is accepted, what is refused and why, at which height")
    func welcome() async throws {
        let gateway = try Self.gateway()
        let other = Digest.sha256([3])
        gateway.parts.submit { $0.authority.rule = { $1 == other ? .contractExpired : nil } }
        let welcome = try await Self.talk(to: gateway) { $0.greet([TestGateway.contract, other]) }
        #expect(welcome?.accepted == [TestGateway.contract])
        #expect(welcome?.refused.map(\.code) == [.contractExpired])
        #expect(welcome?.refused.first?.message.contains("height 7") == true)
        #expect(welcome?.node == TestGateway.node)
        #expect(welcome?.window == 262_144)
        await gateway.stop()
    }

    @Test("an unknown key is told so, gets no stream, and is let go")
    func unknownKey() async throws {
        var limits = TunnelLimits()
        limits.unadmittedTime = .milliseconds(200)
        let gateway = try Self.gateway(limits: limits)
        let known = try Self.backend(5)
        gateway.parts.submit { $0.authority.rule = { key, _ in key == known ? nil : .keyNotBackend } }
        let (welcome, end) = try await Self.talk(to: gateway, seed: 6) { ($0.greet(), $0.goAway()) }
        #expect(welcome?.accepted == [])
        #expect(welcome?.refused.map(\.code) == [.keyNotBackend])
        #expect(end?.code == .revoked)
        #expect(await gateway.sessions == 0)
        await gateway.stop()
    }

    @Test("a session accepted late, when the ledger caught up, is told by UPDATE; one whose contracts end is revoked")
    func updates() async throws {
        let gateway = try Self.gateway()
        gateway.parts.submit { $0.authority.rule = { _, _ in .contractUnknown } }
        let result = try await Self.talk(to: gateway) { peer -> ([Identifier]?, [Identifier]?, GoAway?) in
            let before = peer.greet()?.accepted
            gateway.parts.submit {
                $0.authority.rule = { _, _ in nil }
                $0.server.tableChanged()
            }
            let after = peer.read(.update).flatMap { Welcome($0.payload) }?.accepted
            gateway.parts.submit {
                $0.authority.rule = { _, _ in .contractDeleted }
                $0.server.tableChanged()
            }
            let refused = peer.read(.update).flatMap { Welcome($0.payload) }?.refused
            return (before, after, refused?.map(\.code) == [.contractDeleted] ? peer.goAway() : nil)
        }
        #expect(result.0 == [])
        #expect(result.1 == [TestGateway.contract])
        #expect(result.2?.code == .revoked)
        await gateway.stop()
    }

    @Test("a newer connection takes its slot at once; another instance takes the whole set over")
    func supersession() async throws {
        let gateway = try Self.gateway()
        let result = await blocking { () -> [GoAwayCode?] in
            guard let first = try? RawPeer(dialing: gateway, seed: 5), first.handshake(), first.greet(slot: 0) != nil,
                let second = try? RawPeer(dialing: gateway, seed: 5), second.handshake(), second.greet(slot: 1) != nil,
                let again = try? RawPeer(dialing: gateway, seed: 5), again.handshake(), again.greet(slot: 0) != nil
            else { return [] }
            let firstEnd = first.goAway()?.code
            guard let newer = try? RawPeer(dialing: gateway, seed: 5), newer.handshake(),
                newer.greet(instance: 2, slot: 0) != nil
            else { return [] }
            return [
                firstEnd, second.goAway()?.code, again.goAway()?.code,
                newer.send(.ping, 0, [1, 2, 3, 4, 5, 6, 7, 8])
                    && newer.read(.pong)?.payload == [1, 2, 3, 4, 5, 6, 7, 8] ? .drain : nil,
            ]
        }
        #expect(result == [.superseded, .superseded, .superseded, .drain])
        #expect(await eventually { await gateway.sessions <= 1 })
        await gateway.stop()
    }

    @Test(
        "a broken protocol ends the session with GOAWAY protocol",
        arguments: [
            RawFrame.bytes(99, 0, [1]),
            RawFrame.bytes(0, 1, [1]),
            RawFrame.bytes(2, 77, []),
            RawFrame.bytes(4, 2, [0, 0, 0, 1]),
            RawFrame.bytes(1, 1, Array("{}".utf8)),
            RawFrame.bytes(11, 0, Array("{}".utf8)),
            RawFrame.bytes(10, 0, Array("{}".utf8)),
            RawFrame.bytes(9, 0, Array("[1, 2]".utf8)),
            RawFrame.bytes(13, 0, Array("{}".utf8)),
            RawFrame.bytes(14, 0, Array("{}".utf8)),
            RawFrame.bytes(7, 0, Array("x".utf8)),
            testBytes(2000, seed: 77),
        ]
    )
    func violations(_ bytes: [UInt8]) async throws {
        let gateway = try Self.gateway()
        let code = try await Self.talk(to: gateway) { peer -> GoAwayCode? in
            guard peer.greet() != nil else { return nil }
            peer.send(bytes)
            return peer.goAway()?.code
        }
        #expect(code == .protocolViolation)
        #expect(await eventually { await gateway.sessions == 0 })
        await gateway.stop()
    }

    @Test(
        "a HELLO that is not one ends the session",
        arguments: [
            "", "{}", "[]", "nonsense",
            #"{"agent":"a","contracts":["00"],"instance":"00112233445566778899aabbccddeeff","slot":0,"slots":1,"version":1}"#,
            #"{"agent":"a","contracts":[],"instance":"0011","slot":0,"slots":1,"version":1}"#,
            #"{"agent":"a","contracts":[],"instance":"00112233445566778899aabbccddeeff","slot":1,"slots":1,"version":1}"#,
            #"{"agent":"a","contracts":[],"instance":"00112233445566778899aabbccddeeff","slot":0,"slots":9,"version":1}"#,
            #"{ "agent":"a","contracts":[],"instance":"00112233445566778899aabbccddeeff","slot":0,"slots":1,"version":1}"#,
        ]
    )
    func badHello(_ text: String) async throws {
        let gateway = try Self.gateway()
        let code = try await Self.talk(to: gateway) { peer -> GoAwayCode? in
            peer.send(.hello, 0, Array(text.utf8))
            return peer.goAway()?.code
        }
        #expect(code == .protocolViolation)
        await gateway.stop()
    }

    @Test("another version of the protocol is answered with GOAWAY version")
    func version() async throws {
        let gateway = try Self.gateway()
        let code = try await Self.talk(to: gateway) { peer -> GoAwayCode? in
            let text =
                #"{"agent":"a","contracts":[],"instance":"00112233445566778899aabbccddeeff","slot":0,"slots":1,"version":2}"#
            peer.send(.hello, 0, Array(text.utf8))
            return peer.goAway()?.code
        }
        #expect(code == .version)
        await gateway.stop()
    }

    @Test("bytes beyond the window end the session with GOAWAY flow, those within it arrive")
    func flow() async throws {
        let gateway = try Self.gateway()
        let result = try await Self.talk(to: gateway) { peer -> (Int, GoAwayCode?) in
            guard peer.greet() != nil, let visitor = try? TestSocket(connectingTo: gateway.visitors.address),
                let open = peer.read(.open)
            else { return (0, nil) }
            // Nobody reads at the visitor: the socket buffers fill, then no window comes any more.
            let chunk = [UInt8](repeating: 7, count: 65536)
            var sent = 0
            for _ in 0..<4096 {
                peer.send(.data, open.stream, chunk)
                sent += chunk.count
                // A violation is answered; look only when enough was sent to exceed every buffer.
                if sent >= 64 << 20 { break }
            }
            _ = visitor
            return (sent, peer.goAway()?.code)
        }
        #expect(result.1 == .flow)
        await gateway.stop()
    }

    @Test("a peer that falls silent is dropped after 5 s, and its visitors with it")
    func frozen() async throws {
        let gateway = try Self.gateway()
        let result = try await Self.talk(to: gateway) { peer -> (Bool, Duration) in
            guard peer.greet() != nil, let visitor = try? TestSocket(connectingTo: gateway.visitors.address),
                peer.read(.open) != nil
            else { return (false, .zero) }
            let start = ContinuousClock.now
            let isReset = visitor.readToEnd() == nil
            _ = peer
            return (isReset, ContinuousClock.now - start)
        }
        #expect(result.0)
        #expect(result.1 > .seconds(4) && result.1 < .seconds(30))
        await gateway.stop()
    }

    /// Something else that is ready on the loop.
    private final class Neighbour: Handler {}

    @Test("after a stall of the loop a session is not dropped whose words wait unread behind what else is ready")
    func stall() async throws {
        let gateway = try Self.gateway()
        let crowd = 1200
        var pipe: [Int32] = [-1, -1]
        try #require(unsafe Glibc.pipe(&pipe) == 0)
        let (inlet, outlets) = (pipe[1], [pipe[0]] + (1..<crowd).map { _ in dup(pipe[0]) })
        defer { for descriptor in outlets + [inlet] { close(descriptor) } }
        let joined = await gateway.parts.run { parts in
            outlets.count { (try? parts.registry.desk.loop.add($0, Neighbour())) != nil }
        }
        #expect(joined == crowd)
        let isStalled = Lock(false)
        let isServed = try await Self.talk(to: gateway) { peer -> Bool in
            guard peer.greet() != nil else { return false }
            gateway.parts.submit { _ in
                _ = unsafe write(inlet, [1], 1)
                isStalled.withLock { $0 = true }
                usleep(4_800_000)
            }
            while !isStalled.withLock({ $0 }) { usleep(1000) }
            return peer.send(.ping, 0, [1, 2, 3, 4, 5, 6, 7, 8]) && peer.read(.pong) != nil
        }
        #expect(isServed)
        await gateway.stop()
    }

    @Test("connections that say nothing, or no HELLO, are dropped after 5 s")
    func silent() async throws {
        let gateway = try Self.gateway()
        async let mute = blocking { () -> Duration in
            guard let socket = try? TestSocket(connectingTo: gateway.tunnel.address) else { return .zero }
            let start = ContinuousClock.now
            _ = socket.readToEnd()
            return ContinuousClock.now - start
        }
        let polite = try await Self.talk(to: gateway) { peer -> Duration in
            let start = ContinuousClock.now
            while peer.readFrame() != nil {}
            return ContinuousClock.now - start
        }
        #expect(polite > .seconds(4) && polite < .seconds(30))
        let muteTime = await mute
        #expect(muteTime > .seconds(4) && muteTime < .seconds(30))
        await gateway.stop()
    }

    @Test("streams of a contract that ended are cut, the session stays")
    func cut() async throws {
        let gateway = try Self.gateway()
        let result = try await Self.talk(to: gateway) { peer -> (Bool, [UInt8]?, Bool) in
            guard peer.greet() != nil, let visitor = try? TestSocket(connectingTo: gateway.visitors.address),
                peer.read(.open) != nil
            else { return (false, nil, false) }
            gateway.parts.submit { parts in
                for stream in parts.streams {
                    let owner = stream.owner
                    stream.reset(.contractEnded)
                    owner?.receiveReset(.contractEnded)
                }
            }
            let isReset = visitor.readToEnd() == nil
            let reset = peer.read(.reset)?.payload
            peer.send(.ping, 0, [0, 0, 0, 0, 0, 0, 0, 1])
            return (isReset, reset, peer.read(.pong) != nil)
        }
        #expect(result.0)
        #expect(result.1 == [0, 4])
        #expect(result.2)
        await gateway.stop()
    }

    @Test("the agent keeps two sessions, comes back after a gateway restart, and serves by contract alone")
    func agent() async throws {
        let server = try TestServer.echo()
        let rig = try await TunnelRig(target: server.address.description, slots: 2)
        #expect(await rig.gateway.sessions == 2)
        rig.gateway.parts.submit { parts in
            for session in parts.registry.sessions { session.goAway(.drain, drain: .zero, "restart") }
        }
        #expect(await eventually { await rig.gateway.sessions == 2 })
        let echoed = await blocking { () -> [UInt8]? in
            guard let visitor = try? rig.visitor() else { return nil }
            visitor.write([1, 2])
            visitor.finish()
            return visitor.readToEnd()
        }
        #expect(echoed == [1, 2])
        await rig.stop()
    }

    @Test("an agent keeps nothing of what a gateway refuses that it was not asked for")
    func foreignRefusals() async throws {
        let gatewayKey = try SigningKey(seed: [UInt8](repeating: 9, count: 32))
        let context = try TLSContext(tunnel: .server, identity: TLSIdentity(seed: gatewayKey.seed))
        let endpoint = try TestServer { socket in
            guard let peer = try? RawPeer(socket, context), peer.handshake(), peer.read(.hello) != nil else { return }
            for number in UInt8(0)..<40 {
                let foreign = (UInt8(0)..<60).map { Digest.sha256([number, $0]) }
                let last = number == 39 ? [TestGateway.contract] : []
                let answer = Welcome(
                    accepted: [],
                    refused: (foreign + last).map { Refusal(contract: $0, code: .contractExpired, message: "") },
                    height: 1,
                    node: TestGateway.node,
                    idle: 0,
                    window: 262_144
                )
                peer.send(number == 0 ? .welcome : .update, 0, answer.payload)
            }
            _ = peer.read(.goAway)
        }
        let agent = try Self.agent(of: gatewayKey.publicKey, at: endpoint)
        var most = 0
        for await event in agent.events {
            guard case .serving(_, let refused) = event.state else { continue }
            most = max(most, refused.count)
            if refused.contains(where: { $0.contract == TestGateway.contract }) { break }
        }
        #expect(most == 1)
        await agent.stop()
    }

    @Test("an agent refuses streams of contracts it did not name, and survives what a gateway must not say")
    func agentConsent() async throws {
        let gatewayKey = try SigningKey(seed: [UInt8](repeating: 9, count: 32))
        let context = try TLSContext(tunnel: .server, identity: TLSIdentity(seed: gatewayKey.seed))
        let answers = Lock<[[UInt8]]>([])
        let endpoint = try TestServer { socket in
            guard let peer = try? RawPeer(socket, context), peer.handshake(), let hello = peer.read(.hello),
                let named = Hello(hello.payload)?.contracts
            else { return }
            let welcome = Welcome(
                accepted: named,
                refused: [],
                height: 1,
                node: TestGateway.node,
                idle: 0,
                window: 262_144
            )
            peer.send(.welcome, 0, welcome.payload)
            let foreign = StreamOpen(contract: Digest.sha256([8]), expose: "web", kind: "tcp", peer: "192.0.2.1:5")
            peer.send(.open, 1, foreign.payload)
            let foreignAnswer = peer.read(.reset)?.payload ?? []
            let unknown = StreamOpen(contract: named[0], expose: "other", kind: "tcp", peer: "192.0.2.1:5")
            peer.send(.open, 3, unknown.payload)
            let unknownAnswer = peer.read(.reset)?.payload ?? []
            // An id that does not ascend.
            peer.send(.open, 3, unknown.payload)
            let end = peer.goAway()?.code.rawValue ?? ""
            answers.withLock { if $0.isEmpty { $0 = [foreignAnswer, unknownAnswer, Array(end.utf8)] } }
        }
        let agent = try Self.agent(of: gatewayKey.publicKey, at: endpoint)
        #expect(await eventually { answers.withLock { !$0.isEmpty } })
        #expect(answers.withLock { $0 } == [[0, 2], [0, 3], Array("protocol".utf8)])
        // It dials again.
        #expect(await eventually { endpoint.connections >= 2 })
        await agent.stop()
    }

    /// An agent with one session, which it makes with a gateway that the test plays.
    private static func agent(of gateway: PublicKey, at endpoint: TestServer) throws -> TunnelAgent {
        let agent = try TunnelAgent(
            configuration: AgentConfiguration(
                key: SigningKey(seed: [UInt8](repeating: 5, count: 32)),
                contracts: [TestGateway.contract: ["web": ForwardTarget("127.0.0.1:9")!]],
                slots: 1
            ),
            logger: .init(label: "test")
        )
        agent.update(endpoints: [
            GatewayEndpoint(
                node: TestGateway.node,
                host: "127.0.0.1",
                port: endpoint.address.port,
                transportKey: gateway
            )
        ])
        return agent
    }
}
