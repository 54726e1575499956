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
        var index: RoutingIndex?
        /// Of every contract that was served, also after it ended: it may come back, and its last usage is still to be reported.
        var contracts: [Identifier: SharedContract] = [:]
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
    }

    let core: GatewayCore
    let loops: [Loop]
    let identity: TLSIdentity
    let logger: Logger
    private let seed: UInt64
    let state = Lock(State())

    /// Makes the loops; nothing is bound before `start`.
    public init(configuration: GatewayConfiguration, logger: Logger) throws(GatewayError) {
        core = GatewayCore(configuration)
        self.logger = logger
        var random = SystemRandomNumberGenerator()
        seed = random.next()
        do {
            identity = try TLSIdentity(seed: configuration.transportKey.seed)
        } catch {
            throw GatewayError("transport key", reason: "\(error)")
        }
        var loops: [Loop] = []
        do {
            for _ in 0..<max(1, configuration.loops) {
                loops.append(try Loop(stuckLimit: configuration.limits.stuckBytes / max(1, configuration.loops)))
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
                if place == 0 {
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

    // MARK: The table

    /// Takes a table. New visitors and requests meet it at once; streams that it no longer permits end after their `drain`;
    /// all others are not touched. Call it for every verified state, also when the table did not change: it brings freshness.
    public func apply(_ publication: Publication) {
        state.withLock { state in
            let old = state.index
            let index = RoutingIndex(publication, previous: old, at: core.clock.seconds(at: monotonicNow()), seed: seed)
            let diff = TableDiff(from: old, to: index)
            let shared = index.contracts.map { contract in
                let shared = state.contracts[contract.id] ?? begun(contract.id, publication, &state)
                shared.take(contract)
                state.contracts[contract.id] = shared
                return shared
            }
            state.index = index
            state.generation += 1
            for port in diff.closed {
                state.closing[port] = state.ports.removeValue(forKey: port)?.listening.map { WeakSocket($0) }
            }
            let leased = index.verdicts.flatMap(\.ports)
            state.unavailable = state.unavailable.filter { failure in
                leased.contains { $0.contains(failure.key) }
            }
            let opened = state.isDraining ? [] : diff.opened.filter { openPort($0, &state) }
            let sockets = opened.map { ($0, state.ports[$0]!) }
            for (place, front) in core.allFronts.enumerated() {
                front.submit { front in
                    front.apply(index, diff, shared)
                    for port in diff.closed { front.close(port: port) }
                    for (port, sockets) in sockets { front.open(port: port, sockets, place: place) }
                }
            }
            lookAfterOverlay(index)
            logger.debug(
                "table",
                metadata: [
                    "height": "\(publication.height)", "routes": "\(index.routes.count)",
                    "touched": "\(diff.touched.count)",
                    "ended": "\(diff.ended.count)",
                ]
            )
        }
    }

    /// A contract that begins here: its meter goes on from what was durable, and never below what the ledger has.
    private func begun(_ id: Identifier, _ publication: Publication, _ state: inout State) -> SharedContract {
        let durable = state.restored.removeValue(forKey: id)
        let reported = publication.state?.usage(contract: id, node: core.configuration.node).map(UsageTotals.init)
        let totals = (durable?.totals ?? UsageTotals()).orMore(than: reported ?? UsageTotals())
        return SharedContract(totals, durable?.period ?? PeriodUse())
    }

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
        let agents = front.index.contracts.filter { $0.conn != .overlay }
        front.presence.look(agents.map(\.id), at: front.loop.now) {
            front.registry.sessionCount(for: $0)
        }
        let unreachable = front.presence.absent(for: front.limits.unreachableSeconds, at: front.loop.now)
        state.withLock { state in
            state.unreachable = unreachable
            state.sweeps += 1
            state.closing = state.closing.filter { $0.value.contains { $0.socket != nil } }
            guard state.sweeps % 5 == 0, !state.isDraining else { return }
            for port in state.unavailable.keys.sorted() {
                guard let index = state.index, openPort(port, &state) else { continue }
                guard index.ports[port] != nil else {
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
        state.withLock { state in
            state.index?.conditions(
                unavailable: state.unavailable,
                unreachable: state.unreachable,
                standings: state.standings
            ) ?? []
        }
    }

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
        state.withLock { state in
            GatewayStatus(
                node: core.configuration.node,
                index: state.index,
                generation: state.generation,
                isDraining: state.isDraining,
                loops: loops,
                unavailable: state.unavailable,
                unreachable: state.unreachable,
                standings: state.standings,
                visitors: core.visitors,
                shared: state.contracts,
                now: core.clock.seconds(at: monotonicNow())
            )
        }
    }

    /// Contracts with streams that still run on this gateway, in the table or not.
    public func runningContracts() async -> Set<Identifier> {
        let figures = await withCheckedContinuation { continuation in
            core.gather({ $0.contractFigures() }, then: { continuation.resume(returning: $0) })
        }
        return Set(figures.flatMap { $0.filter { $0.value.streams > 0 }.keys })
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
        while core.visitors.count > 0, clock.now < end {
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
