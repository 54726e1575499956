public import Contracts
public import Logging

/// The agent: keeps sessions to every gateway of its contracts and joins visitors to local services.
///
/// It never ends because of a passing failure: gateways that cannot be reached are dialed again, for ever.
public final class TunnelAgent: Sendable {
    /// What happens to the connections, newest 1,024 kept. One reader.
    public let events: AsyncStream<AgentEvent>

    /// Local services that began to work, or stopped, by their health checks, newest 1,024 kept. One reader.
    public let health: AsyncStream<HealthNews>

    /// Workloads that cannot be reached over TLS, or can be again, newest 1,024 kept. One reader.
    public let workloads: AsyncStream<WorkloadNews>

    private let loop: Loop
    let core: LoopBound<AgentCore>
    private let continuation: AsyncStream<AgentEvent>.Continuation
    private let news: AsyncStream<HealthNews>.Continuation
    private let troubles: AsyncStream<WorkloadNews>.Continuation
    private let ended: AsyncStream<Void>
    private let end: AsyncStream<Void>.Continuation
    private let logger: Logger

    /// Makes the agent and its loop; nothing is dialed before `start`. Throws when the system refuses an event loop, or
    /// OpenSSL the key.
    public init(configuration: AgentConfiguration, logger: Logger) throws {
        let identity = try TLSIdentity(seed: configuration.key.seed)
        let context = try TLSContext(tunnel: .client, identity: identity)
        let loop = try Loop(stuckLimit: configuration.stuckLimit)
        let (events, continuation) = AsyncStream.makeStream(
            of: AgentEvent.self,
            bufferingPolicy: .bufferingNewest(1024)
        )
        var random = SystemRandomNumberGenerator()
        let instance = Hex.encode((0..<16).map { _ in UInt8.random(in: 0...255, using: &random) })
        self.loop = loop
        self.events = events
        self.continuation = continuation
        self.logger = logger
        (ended, end) = AsyncStream.makeStream(of: Void.self)
        let (health, news) = AsyncStream.makeStream(of: HealthNews.self, bufferingPolicy: .bufferingNewest(1024))
        self.health = health
        self.news = news
        let (workloads, troubles) = AsyncStream.makeStream(
            of: WorkloadNews.self,
            bufferingPolicy: .bufferingNewest(1024)
        )
        self.workloads = workloads
        self.troubles = troubles
        core = LoopBound(
            AgentCore(
                loop: loop,
                context: context,
                instance: instance,
                configuration: configuration,
                events: continuation,
                onHealth: { news.yield($0) },
                onWorkload: { troubles.yield($0) }
            ),
            on: loop
        )
        loop.start(name: "agent")
        core.submit { $0.startChecks() }
    }

    /// The gateways to keep sessions to, as the verified ledger has them now. Unchanged ones are left alone.
    public func update(endpoints: [GatewayEndpoint]) {
        logger.debug("gateways", metadata: ["count": "\(endpoints.count)"])
        core.submit { $0.update(endpoints: endpoints) }
    }

    /// Other contracts or targets, told to the gateways without new sessions.
    public func update(contracts: [Identifier: [String: ForwardTarget]]) {
        core.submit { $0.update(contracts: contracts) }
    }

    /// Contracts of mode `reverse-raw`, as the verified ledger has them: their visitors come over data connections, and those of all
    /// others do not, whatever a gateway says. Say it before the gateways.
    public func update(rawContracts: Set<Identifier>) {
        core.submit { $0.rawContracts = rawContracts }
    }

    /// Exposures whose streams begin with a PROXY header, as the verified ledger has them: with a workload that is reached over TLS the header goes
    /// before the handshake. Say it before the gateways.
    public func update(proxied: Set<ExposureName>) {
        core.submit { $0.secure.proxied = proxied }
    }

    /// Runs until the task is cancelled or `stop` is called.
    public func run() async {
        await withTaskCancellationHandler {
            for await _ in ended {}
        } onCancel: {
            end.finish()
        }
        await stop()
    }

    /// Takes no more visitors. Returns when those who are here have left and the gateways closed the sessions, at the latest after
    /// `limit`, or when the task is cancelled.
    public func retire(within limit: Duration) async {
        update(endpoints: [])
        await settle(within: limit)
    }

    /// Tells every gateway to take new visitors to other agents, and lets those who are here end what they do. Returns when the gateways
    /// closed the sessions, at the latest after `limit` (whole seconds; less than one ends nothing in order), or when the task is cancelled.
    public func drain(within limit: Duration) async {
        guard limit >= .seconds(1) else { return }
        core.submit { $0.leave(within: limit.components.seconds) }
        await settle(within: limit)
    }

    private func settle(within limit: Duration) async {
        let clock = ContinuousClock()
        let end = clock.now + limit
        while clock.now < end, await core.run({ $0.isBusy }) == true {
            guard (try? await clock.sleep(for: .milliseconds(50))) != nil else { return }
        }
    }

    /// Tells the gateways, closes everything and ends the loop.
    public func stop() async {
        _ = await core.run { $0.stop() }
        // The next turn writes what was staged.
        _ = await loop.run {}
        await loop.stop()
        continuation.finish()
        news.finish()
        troubles.finish()
        end.finish()
    }
}
