public import Contracts
public import Logging

/// A web gateway: listeners for visitors, the tunnel endpoint for agents, and the table that says who may meet whom.
///
/// Nothing is served before the first `apply`. All methods may be called from any thread or task.
public final class Gateway: Sendable {
    /// Addresses as bound, with the ports that the system chose where 0 was asked for.
    public struct BoundAddresses: Sendable, Hashable {
        public var http: [String] = []
        public var https: [String] = []
        public var tunnel: [String] = []
        /// Path of the admin socket.
        public var admin: String?
    }

    struct State {
        /// The table in force.
        var routes: RoutesInForce
        var index: RoutingIndex { routes.index }
        /// Meters of an earlier process, of contracts that were not served since.
        var restored: [Identifier: ContractMeter] = [:]
        /// The sockets of the configured addresses.
        var listeners: [ListenerKey: ListeningSocket] = [:]
        var ports: [LeasedPort: PortSockets] = [:]
        /// Sockets of TCP ports that were closed and that some loop may still hold.
        var closing: [LeasedPort: [WeakSocket]] = [:]
        var unavailable: [LeasedPort: String] = [:]
        var unreachable: Set<Identifier> = []
        /// Where the backends of overlay contracts stand.
        var standings: [OverlaySubject: OverlayStanding] = [:]
        var generation: Int64 = 0
        var bound = BoundAddresses()
        var isDraining = false
        var sweeps = 0
        /// Changes whenever what is said about contracts may have changed.
        var news: Int64 = 0
    }

    /// The verified routes behind the table. Who holds this lock makes the next table, and others wait for their turn.
    let routes: Lock<NodeRoutes>

    let core: GatewayCore
    let loops: [Loop]
    let identity: TLSIdentity
    let logger: Logger
    let state: Lock<State>

    /// Makes the loops; nothing is bound before `start`.
    public init(configuration: GatewayConfiguration, logger: Logger) throws(GatewayError) {
        core = GatewayCore(configuration)
        self.logger = logger
        var random = SystemRandomNumberGenerator()
        routes = Lock(NodeRoutes(node: configuration.node))
        let index = RoutingIndex(node: configuration.node, seed: random.next())
        state = Lock(State(routes: RoutesInForce(index)))
        do {
            identity = try TLSIdentity(seed: configuration.transportKey.seed)
        } catch {
            throw GatewayError("transport key", reason: "\(error)")
        }
        var loops: [Loop] = []
        do {
            for place in 0..<max(1, configuration.loops) {
                loops.append(try Loop(stuckLimit: core.stuckLimit(of: place)))
            }
        } catch {
            throw GatewayError("event loop", reason: "\(error)")
        }
        self.loops = loops
    }

    /// Binds every address and starts the loops. On an error nothing stays bound.
    public func start() throws(GatewayError) {
        let configuration = core.configuration
        let sockets = try bindListeners(configuration, except: [:])
        let admin = try bind("admin", configuration.admin.map { ["unix:\($0)"] } ?? [])
        let group = SessionGroup()
        var fronts: [LoopBound<Front>] = []
        var registries: [LoopBound<SessionRegistry>] = []
        do {
            let context = try TLSContext(tunnel: .server, identity: identity)
            for (place, loop) in loops.enumerated() {
                let registry = SessionRegistry(loop: loop, index: place, group: group)
                let front = Front(loop: loop, registry: registry, core: core)
                for (key, socket) in sockets {
                    try front.listen(key, socket, context, Self.tunnelLimits(configuration))
                }
                front.watchLoad()
                if place == 0 {
                    front.watchPresence()
                    for socket in admin { try front.listenAdmin(socket, self) }
                    front.overlay.desk = try overlayDesk(on: loop)
                    front.onSweep = { [weak self, weak front] in
                        guard let self, let front else { return }
                        self.swept(front)
                    }
                }
                fronts.append(LoopBound(front, on: loop))
                registries.append(LoopBound(registry, on: loop))
            }
        } catch {
            throw GatewayError("start", reason: "\(error)")
        }
        group.set(registries)
        core.set(fronts)
        state.withLock { state in
            state.listeners = sockets
            state.bound = Self.bound(sockets, configuration)
        }
        for (place, loop) in loops.enumerated() { loop.start(name: "gateway-\(place)") }
    }

    func bind(_ what: String, _ addresses: [String]) throws(GatewayError) -> [ListeningSocket] {
        var sockets: [ListeningSocket] = []
        for text in addresses {
            guard let address = SocketAddress(text) else {
                throw GatewayError("bind \(what)", text, reason: "not an address; write ip:port or [ip]:port")
            }
            do {
                sockets.append(try ListeningSocket(address))
            } catch {
                throw GatewayError("bind \(what)", text, reason: error.reason)
            }
        }
        return sockets
    }

    /// The addresses as bound; empty before `start`.
    public var boundAddresses: BoundAddresses { state.withLock { $0.bound } }

    /// Leased ports that are open now, ascending.
    public var openPorts: [String] { state.withLock { $0.ports.keys.sorted().map(\.description) } }

    /// Binds a leased port on every configured address, all or none. One that closed a moment ago, and that a loop still holds, is
    /// taken back.
    func openPort(_ port: LeasedPort, _ state: inout State) -> Bool {
        let held = state.closing.removeValue(forKey: port)?.map(\.socket) ?? []
        if !held.isEmpty, !held.contains(where: { $0 == nil }) {
            state.ports[port] = PortSockets(listening: held.compactMap { $0 })
            state.unavailable[port] = nil
            return true
        }
        do throws(GatewayError) {
            let addresses = core.configuration.ports.map { host in
                host.utf8.contains(0x3A) ? "[\(host)]:\(port.number)" : "\(host):\(port.number)"
            }
            state.ports[port] =
                port.isDatagram
                ? PortSockets(datagrams: try bindDatagrams(addresses))
                : PortSockets(listening: try bind("port", addresses))
            state.unavailable[port] = nil
            return true
        } catch {
            state.unavailable[port] = error.reason
            logger.warning("leased port cannot be opened", metadata: ["port": "\(port)", "reason": "\(error.reason)"])
            return false
        }
    }

    /// For every loop, a socket for every address.
    private func bindDatagrams(_ addresses: [String]) throws(GatewayError) -> [[DatagramDescriptor]] {
        var sockets: [[DatagramDescriptor]] = []
        for _ in loops {
            var own: [DatagramDescriptor] = []
            for text in addresses {
                guard let address = SocketAddress(text) else {
                    throw GatewayError("bind port", text, reason: "not an address; write ip or [ip]")
                }
                do {
                    own.append(try DatagramDescriptor(address))
                } catch {
                    throw GatewayError("bind port", text, reason: error.reason)
                }
            }
            sockets.append(own)
        }
        return sockets
    }

    // MARK: About once a second

    private func swept(_ front: Front) {
        let unreachable = front.presence?.unreachable ?? []
        state.withLock { state in
            if state.unreachable != unreachable {
                state.unreachable = unreachable
                state.news += 1
            }
            state.sweeps += 1
            state.closing = state.closing.filter { $0.value.contains { $0.socket != nil } }
            guard state.sweeps % 5 == 0, !state.isDraining else { return }
            for port in state.unavailable.keys.sorted() {
                guard openPort(port, &state) else { continue }
                state.news += 1
                guard state.index.route(port) != nil else {
                    // Of a rejected contract: that the port is free again is all that is asked.
                    state.ports[port] = nil
                    continue
                }
                let sockets = state.ports[port]!
                for (place, front) in core.allFronts.enumerated() {
                    front.submit { $0.open(port: port, sockets, place: place) }
                }
            }
        }
    }

    // MARK: Telling

    /// What to report about the contracts of the table.
    public func conditions() async -> [RouteCondition] {
        let state = state.withLock { $0 }
        return state.index.conditions(
            unavailable: state.unavailable,
            unreachable: state.unreachable,
            standings: state.standings
        )
    }

    /// A number that stays the same as long as `conditions` does.
    public var conditionsVersion: Int64 { state.withLock { $0.news } }

    /// A view of the moment.
    public func status() async -> GatewayStatus {
        await withCheckedContinuation { continuation in
            withStatus { continuation.resume(returning: $0) }
        }
    }

    /// Calls `then` with a view of the moment, on the thread of some loop.
    func withStatus(_ then: @escaping @Sendable (GatewayStatus) -> Void) {
        core.gather({ LoopStatus($0) }, then: { loops in then(self.status(of: loops)) })
    }

    private func status(of loops: [LoopStatus]) -> GatewayStatus {
        let state = state.withLock { $0 }
        return GatewayStatus(
            node: core.configuration.node,
            index: state.index,
            generation: state.generation,
            isDraining: state.isDraining,
            loops: loops,
            unavailable: state.unavailable,
            unreachable: state.unreachable,
            standings: state.standings,
            visitors: core.visitors,
            shared: core.contracts.withLock { $0 },
            now: core.clock.seconds(at: monotonicNow())
        )
    }

    /// Contracts with streams that still run on this gateway, in the table or not.
    public func runningContracts() async -> Set<Identifier> {
        let running = await withCheckedContinuation { continuation in
            core.gather({ $0.runningContracts }, then: { continuation.resume(returning: $0) })
        }
        return running.reduce(into: []) { $0.formUnion($1) }
    }

    // MARK: Ending

    /// Takes no new visitors and tells agents to go elsewhere; returns when the last visitor has left, at the latest after `seconds`.
    public func drain(seconds: Int) async {
        state.withLock { state in
            state.isDraining = true
            state.ports = [:]
            state.listeners = [:]
        }
        for front in core.allFronts { front.submit { $0.drain(.seconds(seconds)) } }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        // Those who have begun to connect are not counted yet.
        let least = clock.now + Acceptor.lastMoment
        while core.visitors.count > 0 || clock.now < least, clock.now < end {
            try? await clock.sleep(for: .milliseconds(50))
            if Task.isCancelled { return }
        }
    }

    /// Closes everything at once and ends the loops.
    public func stop() async {
        state.withLock { state in
            state.ports = [:]
            state.listeners = [:]
        }
        for front in core.allFronts { front.submit { $0.stop() } }
        for loop in loops { await loop.stop() }
        core.set([])
    }
}
