import Contracts
import Logging
import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("Admission of agents", .serialized)
struct TunnelAdmissionTests {
    private static let seed = [UInt8](repeating: 5, count: 32)
    private static let contracts = (0..<200).map { Digest.sha256([3, UInt8($0)]) }.sorted()

    private static func gateway(limits: TunnelLimits = TunnelLimits()) throws -> TestGateway {
        try TestGateway(backend: SigningKey(seed: seed).publicKey, limits: limits)
    }

    @Test("refusals that do not fit a control frame follow in more frames, none too long, none twice")
    func splitRefusals() async throws {
        let gateway = try Self.gateway()
        gateway.parts.submit { $0.authority.rule = { _, _ in .keyNotBackend } }
        let frames = await blocking { () -> [Welcome] in
            guard let peer = try? RawPeer(dialing: gateway, seed: 5), peer.handshake() else { return [] }
            let hello = Hello(
                contracts: Self.contracts,
                instance: Hex.encode([UInt8](repeating: 1, count: 16)),
                slot: 0,
                slots: 1,
                agent: "t"
            )
            peer.send(.hello, 0, hello.payload)
            var frames: [Welcome] = []
            while frames.reduce(0, { $0 + $1.refused.count }) < Self.contracts.count, let frame = peer.readFrame() {
                let isAnswer = frame.type == (frames.isEmpty ? FrameType.welcome : .update).rawValue
                guard isAnswer, frame.payload.count <= Frame.longestControl, let answer = Welcome(frame.payload) else {
                    return frames
                }
                frames.append(answer)
            }
            return frames
        }
        #expect(frames.count > 1)
        #expect(frames.flatMap(\.refused).map(\.contract) == Self.contracts)
        #expect(Set(frames.map(\.height)).count == 1 && frames.allSatisfy { $0.accepted.isEmpty })
        await gateway.stop()
    }

    @Test("an agent hears every refusal of an answer in several frames, and what is accepted beside them")
    func agentHearsAll() async throws {
        let gateway = try Self.gateway()
        let served = Self.contracts[77]
        gateway.parts.submit { $0.authority.rule = { $1 == served ? nil : .contractExpired } }
        let forwards = Dictionary(
            uniqueKeysWithValues: Self.contracts.map { ($0, ["web": ForwardTarget("127.0.0.1:9")!]) }
        )
        let agent = try TunnelAgent(
            configuration: AgentConfiguration(key: SigningKey(seed: Self.seed), contracts: forwards, slots: 1),
            logger: Logger(label: "test")
        )
        agent.update(endpoints: [gateway.endpoint])
        var heard: (accepted: [Identifier], refused: [Refusal]) = ([], [])
        for await event in agent.events {
            guard case .serving(let accepted, let refused) = event.state else { continue }
            heard = (accepted, refused)
            if refused.count == 199 { break }
        }
        #expect(heard.accepted == [served])
        #expect(Set(heard.refused.map(\.contract)) == Set(Self.contracts).subtracting([served]))
        #expect(heard.refused.allSatisfy { $0.code == .contractExpired })
        await agent.stop()
        await gateway.stop()
    }

    @Test("what HEALTH said of a contract is forgotten when UPDATE names it no more")
    func healthAfterUpdate() async throws {
        let gateway = try Self.gateway()
        let (one, other) = (TestGateway.contract, Self.contracts[0])
        /// Whether the session's backend is healthy; nil without a session.
        @Sendable func health() async -> Bool? {
            await gateway.parts.run {
                $0.registry.sessions.first?.isHealthy(SessionBackend(contract: one, expose: "web"))
            } ?? nil
        }
        let steps = Lock(0)
        async let talk: Bool = blocking {
            guard let peer = try? RawPeer(dialing: gateway, seed: 5), peer.handshake(), peer.greet([one, other]) != nil
            else { return false }
            func update(_ contracts: [Identifier]) -> Bool {
                let instance = Hex.encode([UInt8](repeating: 1, count: 16))
                let hello = Hello(contracts: contracts, instance: instance, slot: 0, slots: 2, agent: "test/1")
                return peer.send(.update, 0, hello.payload) && peer.read(.update) != nil
            }
            peer.send(
                .health,
                0,
                Array(#"{"backends":[{"contract":"\#(one.hex)","expose":"web","ok":false,"reason":"down"}]}"#.utf8)
            )
            while steps.withLock({ $0 }) < 1 { pause() }
            let isAnswered = update([other]) && update([one, other])
            // The session lasts as long as it is looked at.
            while steps.withLock({ $0 }) < 2 { pause() }
            return isAnswered
        }
        #expect(await comesTrue { await health() == false })
        steps.withLock { $0 = 1 }
        #expect(await comesTrue { await health() == true })
        steps.withLock { $0 = 2 }
        #expect(await talk)
        await gateway.stop()
    }

    /// What a gateway answers in the end to an agent that sends the same frame so often.
    private static func answer(to type: FrameType, _ payload: [UInt8], times count: Int) async throws -> GoAway? {
        let gateway = try gateway()
        let goAway = await blocking { () -> GoAway? in
            guard let peer = try? RawPeer(dialing: gateway, seed: 5), peer.handshake(), peer.greet() != nil else {
                return nil
            }
            for _ in 0..<count { peer.send(type, 0, payload) }
            // An order that nobody gives: whoever bore all of that ends the session for this.
            peer.send(.usage, 0, Array("{}".utf8))
            return peer.goAway()
        }
        // A session counts when its connection is closed, a moment after the last word.
        #expect(await comesTrue { await gateway.parts.run { $0.server.refusals.protocolViolation } == 1 })
        await gateway.stop()
        return goAway
    }

    private static func health(_ expose: String) -> [UInt8] {
        let contract = TestGateway.contract.hex
        return Array(#"{"backends":[{"contract":"\#(contract)","expose":"\#(expose)","ok":false}]}"#.utf8)
    }

    @Test("an agent that says without end what it serves, or how it is, is sent away for a while, and counted")
    func talkers() async throws {
        let update = RawPeer.hello([TestGateway.contract]).payload
        for (type, payload, few, many) in [
            (FrameType.update, update, 120, 300), (.health, Self.health("web"), 8000, 12_000),
        ] {
            let last = try await Self.answer(to: type, payload, times: few)
            #expect(last?.code == .protocolViolation, "\(few) of \(type) are borne")
            let goAway = try await Self.answer(to: type, payload, times: many)
            #expect(goAway?.code == .overload && goAway?.retryAfter ?? 0 > 0, "\(type): \(String(describing: goAway))")
        }
    }

    @Test("HEALTH about what cannot be an exposure is kept nowhere: it ends the session")
    func longExposures() async throws {
        for name in ["", "Web", String(repeating: "a", count: 16_000)] {
            let goAway = try await Self.answer(to: .health, Self.health(name), times: 1)
            #expect(goAway?.message == "HEALTH is malformed", "\(name.prefix(10))")
        }
    }

    @Test("handshakes of all sources together have a rate, and what it refuses is counted")
    func allHandshakes() async throws {
        var limits = TunnelLimits()
        limits.allHandshakesBurst = 3
        limits.allHandshakesPerSecond = 2
        let gateway = try Self.gateway(limits: limits)
        @Sendable func stands() -> Bool { (try? RawPeer(dialing: gateway, seed: 5))?.handshake() == true }
        let results = await blocking { (0..<6).map { _ in stands() } }
        // While they came, at most one more became free.
        #expect(results.prefix(3).allSatisfy { $0 } && results.contains(false), "\(results)")
        let refused = await gateway.parts.run { $0.server.allRefusals.rate } ?? 0
        #expect(Int(refused) == results.count { !$0 })
        #expect(await comesTrue { await blocking { stands() } })
        await gateway.stop()
    }

    @Test("an agent over the limit of its own address does not use up the rate of all")
    func ownLimit() async throws {
        var limits = TunnelLimits()
        limits.handshakeBurst = 2
        limits.handshakesPerSecond = 1
        limits.allHandshakesBurst = 4
        limits.allHandshakesPerSecond = 1
        let gateway = try Self.gateway(limits: limits)
        _ = await blocking { (0..<20).map { _ in (try? RawPeer(dialing: gateway, seed: 5))?.handshake() } }
        let refused = await gateway.parts.run { $0.server.allRefusals }
        #expect(refused?.rate == 0 && refused?.source ?? 0 >= 15, "\(refused as Any)")
        await gateway.stop()
    }

    /// Sessions of that many keys that no contract names, which stay until the result is dropped.
    private static func strangers(_ seeds: Range<UInt8>, at gateway: TestGateway, greeting: Bool) -> [RawPeer] {
        seeds.compactMap { seed in
            guard let peer = try? RawPeer(dialing: gateway, seed: seed), peer.handshake() else { return nil }
            return !greeting || peer.greet()?.accepted == [] ? peer : nil
        }
    }

    @Test(
        "keys that no contract names take no place from an agent that is served: the oldest give way, and are counted",
        arguments: [true, false]
    )
    func strangers(_ isGreeting: Bool) async throws {
        var limits = TunnelLimits()
        limits.sessions = 8
        limits.unadmitted = isGreeting ? 4 : 100
        limits.handshakeBurst = 1000
        let gateway = try Self.gateway(limits: limits)
        let known = try SigningKey(seed: Self.seed).publicKey
        gateway.parts.submit { $0.authority.rule = { key, _ in key == known ? nil : .keyNotBackend } }
        let result = await blocking { () -> (came: Int, first: GoAway?, agent: Welcome?, isServed: Bool) in
            let before = Self.strangers(10..<30, at: gateway, greeting: isGreeting)
            guard let agent = try? RawPeer(dialing: gateway, seed: 5), agent.handshake() else {
                return (before.count, nil, nil, false)
            }
            let welcome = agent.greet()
            let after = Self.strangers(30..<50, at: gateway, greeting: isGreeting)
            let isServed = agent.send(.ping, 0, [1, 2, 3, 4, 5, 6, 7, 8]) && agent.read(.pong) != nil
            return (before.count + after.count, before.first?.goAway(), welcome, isServed)
        }
        #expect(result.came == 40)
        #expect(result.first?.code == .overload && result.first?.retryAfter == 10)
        #expect(result.agent?.accepted == [TestGateway.contract] && result.isServed)
        // Of 40, as many stayed as have a place beside the agent.
        let gone = await gateway.parts.run { $0.server.allRefusals.strangers }
        #expect(gone == (isGreeting ? 36 : 33))
        #expect(await gateway.parts.run { $0.server.allRefusals.full } == 0)
        await gateway.stop()
    }

    @Test("an agent that comes when every place belongs to one that is served is sent away for a while, and counted")
    func full() async throws {
        var limits = TunnelLimits()
        limits.sessions = 2
        let gateway = try Self.gateway(limits: limits)
        let goAway = await blocking { () -> GoAway? in
            let served = (5..<7).compactMap { (seed: UInt8) -> RawPeer? in
                guard let peer = try? RawPeer(dialing: gateway, seed: seed), peer.handshake() else { return nil }
                return peer.greet()?.accepted.isEmpty == false ? peer : nil
            }
            guard served.count == 2, let third = try? RawPeer(dialing: gateway, seed: 7), third.handshake() else {
                return nil
            }
            return third.goAway()
        }
        #expect(goAway?.code == .overload && goAway?.retryAfter == 30)
        #expect(await gateway.parts.run { $0.server.allRefusals.full } == 1)
        await gateway.stop()
    }

    @Test("an agent that says it leaves at once and stays is ended after 5 s")
    func leavesNever() async throws {
        let gateway = try Self.gateway()
        let time = await blocking { () -> Duration in
            guard let peer = try? RawPeer(dialing: gateway, seed: 5), peer.handshake(), peer.greet() != nil else {
                return .zero
            }
            let start = ContinuousClock.now
            peer.send(.goAway, 0, GoAway(code: .shutdown, drain: 0, message: "stays").payload)
            while ContinuousClock.now - start < .seconds(15), let frame = peer.readFrame() {
                if frame.type == FrameType.ping.rawValue { peer.send(.pong, 0, frame.payload) }
                if frame.type == FrameType.goAway.rawValue { return ContinuousClock.now - start }
            }
            return ContinuousClock.now - start
        }
        #expect((.seconds(4.9)...(.seconds(10))).contains(time), "\(time)")
        await gateway.stop()
    }
}
