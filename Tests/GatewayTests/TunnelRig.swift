import Contracts
import Glibc
import Logging

@testable import Gateway

/// What a test gateway admits; changed only on the loop.
final class TestAuthority: TunnelAuthority {
    var rule: (PublicKey, Identifier) -> RefusalCode? = { _, _ in nil }
    var height: UInt64 = 7
    func admits(key: PublicKey, contract: Identifier) -> RefusalCode? { rule(key, contract) }
}

/// A tunnel endpoint with a visitors' port that leads every connection into a stream of one contract.
final class TestGateway: Sendable {
    static let contract = Digest.sha256([1])
    static let node = Digest.sha256([2])

    /// The parts that live on the loop.
    final class Parts: StreamLinkOwner {
        let authority = TestAuthority()
        let registry: SessionRegistry
        let server: TunnelServer
        var visitors: Acceptor?
        var ends: [ResetCode?] = []
        var flow: ContractFlow
        /// Every stream that was opened.
        var streams: [Stream] = []

        func linkEnded(_ link: StreamLink, _ code: ResetCode?) { ends.append(code) }

        /// The open session of a backend with the fewest streams.
        func session(of backend: PublicKey) -> TunnelSession? {
            registry.sessions(for: TestGateway.contract)
                .filter { $0.key == backend && $0.isOpen && !$0.isDraining }
                .min { $0.activeStreams < $1.activeStreams }
        }

        init(
            loop: Loop,
            socket: ListeningSocket,
            context: TLSContext,
            limits: TunnelLimits,
            rates: (inbound: SharedRate, outbound: SharedRate)
        ) throws {
            flow = ContractFlow(loop: loop, inbound: rates.inbound, outbound: rates.outbound)
            registry = SessionRegistry(loop: loop)
            server = try TunnelServer(
                loop: loop,
                socket: socket,
                context: context,
                node: TestGateway.node,
                authority: authority,
                registry: registry,
                limits: limits
            )
        }
    }

    let loop: Loop
    let key: SigningKey
    let tunnel: ListeningSocket
    let visitors: ListeningSocket
    let parts: LoopBound<Parts>

    init(
        backend: PublicKey,
        seed: UInt8 = 9,
        stuckLimit: Int = 256 << 20,
        expose: String = "web",
        limits: TunnelLimits = TunnelLimits(),
        rates: (inbound: SharedRate, outbound: SharedRate) = (SharedRate(), SharedRate())
    ) throws {
        key = try SigningKey(seed: [UInt8](repeating: seed, count: 32))
        let loop = try Loop(stuckLimit: stuckLimit)
        let tunnel = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let visitors = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let context = try TLSContext(tunnel: .server, identity: TLSIdentity(seed: key.seed))
        self.loop = loop
        self.tunnel = tunnel
        self.visitors = visitors
        parts = LoopBound(
            try Parts(loop: loop, socket: tunnel, context: context, limits: limits, rates: rates),
            on: loop
        )
        parts.submit { parts in
            parts.visitors = try? Acceptor(loop: loop, socket: visitors) { [weak parts] descriptor, peer in
                let leg = Leg(adopting: descriptor, loop: loop)
                guard let parts, let session = parts.session(of: backend) else { return leg.abort() }
                let request = StreamOpen(
                    contract: Self.contract,
                    expose: expose,
                    kind: "tcp",
                    peer: peer?.description ?? ""
                )
                let link = try? StreamLink(leg: leg, abortCode: .cancelled, owner: parts)
                guard let link, let stream = session.open(request, flow: parts.flow, owner: link) else {
                    return leg.abort()
                }
                parts.streams.append(stream)
                link.attach(stream)
            }
        }
        loop.start(name: "gateway")
    }

    var endpoint: GatewayEndpoint {
        GatewayEndpoint(node: Self.node, host: "127.0.0.1", port: tunnel.address.port, transportKey: key.publicKey)
    }

    var sessions: Int {
        get async { await parts.run { $0.registry.sessions.count } ?? 0 }
    }

    var streams: Int {
        get async { await parts.run { $0.registry.sessions.reduce(0) { $0 + $1.activeStreams } } ?? 0 }
    }

    func stop() async { await loop.stop() }
}

/// A gateway, an agent with one exposure, and the local service behind it.
final class TunnelRig: Sendable {
    let gateway: TestGateway
    let agent: TunnelAgent
    let agentKey: SigningKey

    init(
        target: String,
        slots: Int = 1,
        stuckLimit: Int = 256 << 20,
        expose: String = "web",
        limits: TunnelLimits = TunnelLimits(),
        rates: (inbound: SharedRate, outbound: SharedRate) = (SharedRate(), SharedRate())
    ) async throws {
        agentKey = try SigningKey(seed: [UInt8](repeating: 5, count: 32))
        gateway = try TestGateway(
            backend: agentKey.publicKey,
            stuckLimit: stuckLimit,
            expose: expose,
            limits: limits,
            rates: rates
        )
        agent = try TunnelAgent(
            configuration: AgentConfiguration(
                key: agentKey,
                contracts: [TestGateway.contract: ["web": ForwardTarget(target)!]],
                slots: slots,
                stuckLimit: stuckLimit
            ),
            logger: Logger(label: "test")
        )
        agent.update(endpoints: [gateway.endpoint])
        let gateway = gateway
        guard await eventually({ await gateway.sessions == slots }) else {
            throw TestFailure("no session")
        }
    }

    func visitor() throws -> TestSocket { try TestSocket(connectingTo: gateway.visitors.address) }

    /// What a visitor gets who sends bytes and half-closes; nil when its connection broke. It reads while it writes.
    func exchange(_ sent: [UInt8]) async -> [UInt8]? {
        await blocking {
            guard let visitor = try? self.visitor() else { return nil }
            startThread {
                visitor.write(sent)
                visitor.finish()
            }
            return visitor.readToEnd()
        }
    }

    func stop() async {
        await agent.stop()
        await gateway.stop()
    }
}

struct TestFailure: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
