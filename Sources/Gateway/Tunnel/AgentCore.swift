internal import Contracts

/// The agent's state on its loop: what it serves, and a dialer for every slot of every gateway.
final class AgentCore {
    let loop: Loop
    let context: TLSContext
    let instance: String
    let slots: Int
    let agent: String
    private(set) var contracts: [Identifier: [String: ForwardTarget]]
    /// Contracts whose visitors get data connections, as the verified ledger has them.
    var rawContracts: Set<Identifier> = []
    private let resolver = Resolver()
    private let events: AsyncStream<AgentEvent>.Continuation
    private var dialers: [Identifier: (endpoint: GatewayEndpoint, slots: [SlotDialer])] = [:]
    /// Of gateways that are dialed no more, until their sessions have ended.
    private var retired: [SlotDialer] = []
    /// No gateway is dialed any more.
    private var isLeaving = false
    private var names: [String: (addresses: [SocketAddress], until: MonotonicNanoseconds)] = [:]
    /// How long a looked-up name of a local service is remembered.
    private static let nameTime: UInt64 = 5_000_000_000
    /// How long a name that has no address is not asked for again.
    private static let failureTime: UInt64 = 1_000_000_000
    /// Signs what it saw.
    let key: SigningKey
    /// Meters of the streams, and what an earlier process counted.
    var flows: [UsageSubject: ContractFlow] = [:]
    var usageBefore: [UsageSubject: UsageTotals] = [:]
    /// Newest claim of each gateway, and this agent's answer.
    var claims: [UsageSubject: UsageStatement] = [:]
    var statements: [UsageSubject: UsageStatement] = [:]
    private var lookups: [String: [([SocketAddress]) -> Void]] = [:]
    /// Checks of the local services.
    private var checks: HealthChecks?
    /// Workloads that are reached over TLS.
    let secure: SecureTargets

    init(
        loop: Loop,
        context: TLSContext,
        instance: String,
        configuration: AgentConfiguration,
        events: AsyncStream<AgentEvent>.Continuation,
        onHealth: @escaping (HealthNews) -> Void = { _ in },
        onWorkload: @escaping (WorkloadNews) -> Void = { _ in }
    ) {
        self.loop = loop
        self.context = context
        self.instance = instance
        slots = configuration.slots
        agent = configuration.agent
        contracts = configuration.contracts
        key = configuration.key
        self.events = events
        secure = SecureTargets(loop: loop, onNews: onWorkload)
        restore(configuration.usage)
        checks = HealthChecks(core: self) { [weak self] news in
            onHealth(news)
            self?.tell(health: [news])
        }
    }

    /// Begins the health checks; on the loop.
    func startChecks() { checks?.take(contracts) }

    /// What does not work now, for a session that begins.
    var failedServices: [HealthNews] { checks?.failed ?? [] }

    private func tell(health news: [HealthNews]) {
        for dialer in dialers.values {
            for slot in dialer.slots { slot.tell(health: news) }
        }
    }

    /// Named in HELLO, ascending.
    var contractList: [Identifier] { Array(contracts.keys.sorted().prefix(Hello.mostContracts)) }

    /// The meter of a contract's streams from a gateway.
    func flow(of contract: Identifier, at node: Identifier) -> ContractFlow {
        let subject = UsageSubject(contract: contract, node: node)
        if let flow = flows[subject] { return flow }
        let flow = ContractFlow()
        flows[subject] = flow
        return flow
    }

    /// Dials what is new, drops what is gone, leaves alone what stays the same.
    func update(endpoints: [GatewayEndpoint]) {
        guard !isLeaving else { return }
        var wanted: [Identifier: GatewayEndpoint] = [:]
        for endpoint in endpoints { wanted[endpoint.node] = endpoint }
        for (node, dialer) in dialers where wanted[node] != dialer.endpoint {
            for slot in dialer.slots { slot.retire() }
            retired += dialer.slots
            dialers[node] = nil
        }
        retired.removeAll(where: \.isOver)
        for (node, endpoint) in wanted where dialers[node] == nil {
            let slots = (0..<slots).map { SlotDialer(core: self, endpoint: endpoint, slot: $0) }
            dialers[node] = (endpoint, slots)
            for slot in slots { slot.dial() }
        }
    }

    func update(contracts: [Identifier: [String: ForwardTarget]]) {
        let isChanged = Set(contracts.keys) != Set(self.contracts.keys)
        self.contracts = contracts
        checks?.take(contracts)
        guard isChanged else { return }
        for dialer in dialers.values {
            for slot in dialer.slots { slot.contractsChanged() }
        }
    }

    /// Dials no more, and tells the gateways to go to other agents; what runs has so many seconds, at least one.
    func leave(within seconds: Int64) {
        isLeaving = true
        for dialer in dialers.values {
            for slot in dialer.slots { slot.leave(within: seconds) }
            retired += dialer.slots
        }
        dialers = [:]
    }

    func stop() {
        isLeaving = true
        for dialer in dialers.values {
            for slot in dialer.slots { slot.stop() }
        }
        for slot in retired { slot.stop() }
        dialers = [:]
        checks?.stop()
        retired = []
    }

    /// Whether a session stands or is being made, or, with no session left, a local service has not taken everything yet.
    var isBusy: Bool {
        retired.removeAll(where: \.isOver)
        guard dialers.isEmpty, retired.isEmpty else { return true }
        checks?.stop()
        return loop.handlerCount > 0
    }

    func tell(_ endpoint: GatewayEndpoint, _ slot: Int, _ state: AgentEvent.State) {
        events.yield(AgentEvent(gateway: endpoint.node, slot: slot, state: state))
    }

    /// Addresses of a name, remembered for some seconds.
    func resolve(_ host: String, _ port: UInt16, _ completion: @escaping ([SocketAddress]) -> Void) {
        if let known = names[host], known.until > loop.now {
            return completion(known.addresses.map { $0.with(port: port) })
        }
        // Visitors that come while a lookup is under way share it.
        if lookups[host] != nil {
            lookups[host]?.append { completion($0.map { $0.with(port: port) }) }
            return
        }
        lookups[host] = []
        resolver.resolve(host: host, port: port, on: loop) { [weak self] addresses in
            if let self {
                let time = addresses.isEmpty ? Self.failureTime : Self.nameTime
                self.names[host] = (addresses, self.loop.now + time)
                let waiting = self.lookups.removeValue(forKey: host) ?? []
                completion(addresses)
                for other in waiting { other(addresses) }
            } else {
                completion(addresses)
            }
        }
    }

    /// Addresses of a gateway, always asked anew, since gateways move.
    func resolveGateway(_ endpoint: GatewayEndpoint, _ completion: @escaping ([SocketAddress]) -> Void) {
        resolver.resolve(host: endpoint.host, port: endpoint.port, on: loop, completion)
    }
}

/// Keeps one slot of one gateway connected, for ever, with growing random pauses between failures. Loop-owned.
final class SlotDialer {
    private let core: AgentCore
    private let endpoint: GatewayEndpoint
    private let slot: Int
    private var backoff = Backoff()
    private var session: AgentSession?
    /// Sessions that the gateway asked to leave; their streams run on until it closes them.
    private var leaving: [AgentSession] = []
    private var pause: Timer?
    private var isStopped = false
    private var attempt = 0
    private var since: MonotonicNanoseconds = 0

    /// An agent whose key another agent took over does not fight for it.
    private static let supersededPause: Duration = .seconds(30)
    /// A session that served this long was good.
    private static let goodTime: UInt64 = 5_000_000_000

    init(core: AgentCore, endpoint: GatewayEndpoint, slot: Int) {
        self.core = core
        self.endpoint = endpoint
        self.slot = slot
    }

    func dial() {
        pause = nil
        guard !isStopped, session == nil else { return }
        core.tell(endpoint, slot, .dialing)
        attempt += 1
        let current = attempt
        core.resolveGateway(endpoint) { [weak self] addresses in
            guard let self, !self.isStopped, self.attempt == current, self.session == nil else { return }
            guard !addresses.isEmpty else { return self.retry("no address for \(self.endpoint.host)") }
            // Attempts go round the addresses of the name.
            self.connect(to: addresses[(current - 1) % addresses.count])
        }
    }

    private func connect(to address: SocketAddress) {
        do {
            since = core.loop.now
            session = try AgentSession(core: core, endpoint: endpoint, address: address, slot: slot) { [weak self] in
                self?.heard($0, $1)
            }
        } catch {
            retry("\(error)")
        }
    }

    private func heard(_ speaker: AgentSession, _ news: AgentSession.News) {
        switch news {
        case .answered(let welcome):
            guard speaker === session else { return }
            if !welcome.accepted.isEmpty { since = core.loop.now }
            core.tell(endpoint, slot, .serving(accepted: welcome.accepted, refused: welcome.refused))
        case .goneAway(let message):
            guard speaker === session else { return }
            core.tell(endpoint, slot, .goneAway(message.code, message: message.message))
            // A new connection is made at once; the old one serves its streams until the gateway closes it.
            leaving.append(speaker)
            session = nil
            let patience = Duration.seconds(min(message.drain, GoAway.longestDrain) + 5)
            core.loop.after(patience) { [weak speaker] in speaker?.drop() }
            var least = Duration.zero
            if message.code == .superseded { least = Self.supersededPause }
            if let seconds = message.retryAfter { least = max(least, .seconds(min(seconds, 300))) }
            noteGoodSession()
            retry("\(message.code.rawValue): \(message.message)", least: least)
        case .ended(let end):
            if speaker === session {
                session = nil
                noteGoodSession()
                retry(Self.reason(end))
            } else {
                leaving.removeAll { $0 === speaker }
            }
        }
    }

    private func noteGoodSession() {
        if core.loop.now &- since >= Self.goodTime { backoff.reset() }
    }

    private static func reason(_ end: SessionEnd) -> String {
        switch end {
        case .lost(let reason): reason
        case .goneAway(let code, let message): "\(code.rawValue): \(message)"
        case .violated(let code, let message): "the gateway broke the protocol (\(code.rawValue)): \(message)"
        case .closed: "closed"
        }
    }

    private func retry(_ reason: String, least: Duration = .zero) {
        guard !isStopped, pause == nil else { return }
        let delay = least + backoff.next(Double.random(in: 0..<1))
        core.tell(endpoint, slot, .lost(reason: reason, retry: delay))
        pause = core.loop.after(delay) { [weak self] in self?.dial() }
    }

    func contractsChanged() { session?.contractsChanged() }

    func tell(health news: [HealthNews]) { session?.tell(health: news) }

    /// Dials no more; what runs over its sessions may end.
    func retire() {
        isStopped = true
        pause?.cancel()
        pause = nil
        session?.retire()
    }

    /// Dials no more; the gateway goes to others, and what runs has so many seconds.
    func leave(within seconds: Int64) {
        isStopped = true
        pause?.cancel()
        pause = nil
        session?.leave(within: seconds)
    }

    /// Whether nothing is left of a slot that dials no more.
    var isOver: Bool { isStopped && session == nil && leaving.isEmpty }

    /// Ends the slot; the gateway is told.
    func stop() {
        isStopped = true
        pause?.cancel()
        pause = nil
        session?.close()
        session = nil
        for old in leaving { old.drop() }
        leaving = []
    }
}
