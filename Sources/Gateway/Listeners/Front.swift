internal import Contracts

/// What visitors meet on one loop: the routing snapshot, the contracts' loads, the tunnel's sessions, and storage that connections
/// borrow. Loop-owned.
final class Front: Handler {
    /// What came of asking for a stream.
    enum Opening {
        case opened(Stream, FlowTicket)
        /// Another loop has a session of the contract.
        case elsewhere(Int)
        case refused(VisitorRefusal)
    }

    let loop: Loop
    private(set) var limits: GatewayLimits
    let registry: SessionRegistry
    let node: Identifier
    let core: GatewayCore
    private let clock: WallClock
    private(set) var index: RoutingIndex
    /// Seconds since 1970, as of the last sweep.
    private(set) var wall: Timestamp
    /// Visitors are asked to leave after their answer.
    private(set) var isDraining = false
    var requests: RequestHeadParser
    var responses = ResponseHeadParser()
    /// Refusals that belong to no contract.
    private(set) var refusals = RefusalCounts()
    let revocations: RevocationMeter
    /// In the order of the index's slots.
    private var loads: [ContractLoad] = []
    private var loadsByID: [Identifier: ContractLoad] = [:]
    private var balancers: [RouteKey: Balancer] = [:]
    private var output: [UInt8] = []
    /// Visitors beyond the limit that are being told so.
    var busyVisitors = 0
    /// Sources that ask for names that nobody serves.
    private var strays: SourceLimit
    var listeners: [ListenerKey: Acceptor] = [:]
    var ports: [LeasedPort: [Acceptor]] = [:]
    var datagramPorts: [LeasedPort: [DatagramPort]] = [:]
    var adminListeners: [Acceptor] = []
    var tunnels: [TunnelServer] = []
    var presence = AgentPresence()
    /// Workloads that the gateway dials by itself.
    let overlay = OverlayBackends()
    /// Called about once a second, on the first loop only.
    var onSweep: (() -> Void)?

    init(loop: Loop, registry: SessionRegistry, core: GatewayCore) {
        self.loop = loop
        self.registry = registry
        self.core = core
        let configuration = core.configuration
        limits = configuration.limits
        node = configuration.node
        requests = RequestHeadParser(limit: limits.headerSize)
        revocations = RevocationMeter(loop: loop)
        strays = SourceLimit(burst: limits.unknownPerSecond * 10, perSecond: limits.unknownPerSecond)
        clock = core.clock
        wall = clock.seconds(at: loop.now)
        index = RoutingIndex(Publication(node: node, routes: []), at: wall)
        super.init()
        loop.own(self)
    }

    // MARK: Borrowed storage

    /// Storage to build bytes in; give it back. A second borrower in the same call gets a fresh one.
    func takeOutput() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &output)
        return taken
    }

    func give(_ storage: [UInt8]) {
        guard storage.capacity <= 1 << 18 else { return }
        output = storage
        output.removeAll(keepingCapacity: true)
    }

    // MARK: Streams

    /// Opens a stream to an agent of a permitted route, within the contract's limits.
    ///
    /// - Parameter describe: adds what the agent is told about this kind of visitor.
    func open(
        _ permit: Permit,
        visitor: Visitor,
        holder: any TicketHolder,
        owner: any StreamOwner,
        describe: (inout StreamOpen) -> Void
    ) -> Opening {
        let route = permit.route
        let contract = route.contract
        if contract.conn == .overlay { return dial(permit, visitor, holder: holder, owner: owner) }
        guard let session = session(for: route, visitor.address) else {
            guard visitor.hops < 2, let place = registry.loop(for: contract.id, backendKeys: route.backends.map(\.key))
            else {
                return .refused(.noAgent)
            }
            return .elsewhere(place)
        }
        let load = load(of: contract)
        if let refusal = countIn(load, contract) { return .refused(refusal) }
        var request = StreamOpen(
            contract: contract.id,
            expose: route.route.expose,
            kind: route.route.kind.rawValue,
            peer: visitor.peer.description,
            local: visitor.local.description
        )
        describe(&request)
        guard let stream = session.open(request, flow: load.flow, owner: owner), !stream.isClosed else {
            load.shared.load.leave()
            return .refused(.noAgent)
        }
        let ticket = FlowTicket(
            permit,
            backend: .key(session.key),
            session: session,
            visitor: visitor.address,
            load: load,
            holder: holder
        )
        return .opened(stream, ticket)
    }

    func load(of contract: ServedContract) -> ContractLoad { loads[contract.slot] }

    /// Counts a stream in, within the limits of its contract; nil then.
    func countIn(_ load: ContractLoad, _ contract: ServedContract) -> VisitorRefusal? {
        if loop.stuck.isOverloaded { return .overload }
        if load.isUsedUp { return .quota }
        if let rate = contract.connRate, !load.shared.load.admit(rate: rate, at: loop.now) { return .rate }
        return load.shared.load.enter(limit: contract.conns) ? nil : .limit
    }

    /// The session that takes the next stream of a route: by balance among agents, then the least busy of the agent's.
    private func session(for route: ServedRoute, _ visitor: IPAddress?) -> TunnelSession? {
        let all = registry.sessions(for: route.contract.id)
        if all.isEmpty { return nil }
        var best: [(session: TunnelSession, weight: Int64)] = []
        for pass in 0..<2 {
            for backend in route.backends {
                var choice: TunnelSession?
                for session in all where session.key == backend.key && session.isOpen && !session.isDraining {
                    // Agents that say that the workload is down are asked only when no other is left.
                    if pass == 0, !session.isHealthy(contract: route.contract.id, expose: route.route.expose) {
                        continue
                    }
                    if choice.map({ session.activeStreams < $0.activeStreams }) ?? true { choice = session }
                }
                if let choice { best.append((choice, backend.weight)) }
            }
            if !best.isEmpty { break }
        }
        if best.count <= 1 { return best.first?.session }
        var balancer = balancers[route.key] ?? Balancer()
        let candidates = best.map { (key: $0.session.key, weight: $0.weight, streams: $0.session.activeStreams) }
        let place = balancer.pick(candidates, route.route.balance, visitor: visitor)
        balancers[route.key] = balancer
        return place.map { best[$0].session }
    }

    // MARK: Counting

    func count(_ refusal: VisitorRefusal, _ contract: ServedContract?) {
        if let contract, let load = loadsByID[contract.id] {
            load.refusals.count(refusal)
        } else {
            refusals.count(refusal)
        }
    }

    func visitorLeft() { core.visitors.leave() }

    // MARK: Connections

    /// Counts a visitor in; false, and the descriptor is taken care of, when the gateway is full: an http visitor is told so.
    func admitVisitor(_ descriptor: Int32, isHTTP: Bool = false) -> Bool {
        if core.visitors.enter(limit: Int64(limits.connections)) { return true }
        refusals.count(.limit)
        let leg = Leg(adopting: descriptor, loop: loop)
        if isHTTP, busyVisitors < BusyVisitor.most, (try? BusyVisitor(leg: leg, front: self)) != nil { return false }
        leg.abort()
        return false
    }

    /// Counts a flow of datagrams in; false when the gateway is full.
    func admitFlow() -> Bool { core.visitors.enter(limit: Int64(limits.connections)) }

    /// Runs a body on another loop, unless too many wait there already.
    func passOn(to place: Int, _ body: @escaping @Sendable (Front) -> Void) {
        let passed = core.passedDatagrams
        guard passed.enter(limit: GatewayCore.mostPassedDatagrams) else { return }
        let accepted = core.onFront(place) { front in
            passed.leave()
            body(front)
        }
        if !accepted { passed.leave() }
    }

    /// Whether a source may ask once more for a name that nobody serves here.
    func mayAskInVain(_ visitor: Visitor) -> Bool {
        guard let source = SourceLimit.Source(visitor.peer) else { return true }
        return strays.admits(source, now: loop.now)
    }

    /// Passes an HTTP connection, with what was read of it, to another loop.
    func hand(over leg: Leg, _ visitor: Visitor, _ carry: [UInt8], to place: Int) {
        let descriptor = leg.release()
        let visitor = visitor.passedOn
        let accepted = core.onFront(place) { $0.serveHTTP(descriptor, visitor, carry) }
        if !accepted { dropped(descriptor) }
    }

    /// Passes a descriptor whose kind of visitor is known to another loop.
    func hand(over descriptor: Int32, to place: Int, _ body: @escaping @Sendable (Front, Int32) -> Void) {
        let accepted = core.onFront(place) { body($0, descriptor) }
        if !accepted { dropped(descriptor) }
    }

    private func dropped(_ descriptor: Int32) {
        Leg(adopting: descriptor, loop: loop).abort()
        visitorLeft()
    }

    /// Serves an accepted HTTP connection that was counted.
    func serveHTTP(_ descriptor: Int32, _ visitor: Visitor, _ carry: [UInt8]) {
        let leg = Leg(adopting: descriptor, loop: loop)
        do {
            _ = try HTTPConnection(leg: leg, visitor: visitor, front: self, carry: carry)
        } catch {
            leg.abort()
            visitorLeft()
        }
    }

    // MARK: The table

    /// Takes a new snapshot: new visitors and requests meet it at once, running flows of contracts that changed are asked again.
    func apply(_ index: RoutingIndex, _ diff: TableDiff, _ shared: [SharedContract]) {
        self.index = index
        wall = clock.seconds(at: loop.now)
        loads = index.contracts.map { contract in
            if let load = loadsByID[contract.id] {
                load.flow.pace(loop, load.shared.inbound, load.shared.outbound)
                return load
            }
            let load = ContractLoad(
                id: contract.id,
                shared: shared[contract.slot],
                loop: loop,
                revocations: revocations
            )
            _ = load.meter(at: wall, isFirst: true)
            loadsByID[contract.id] = load
            return load
        }
        for id in diff.touched.union(diff.ended) {
            if let load = loadsByID[id] { review(load) }
        }
        balancers = balancers.filter { index.byKey[$0.key] != nil }
        overlay.keep { index.byKey[$0] != nil }
        forgetEnded()
        for tunnel in tunnels { tunnel.tableChanged() }
    }

    private func review(_ load: ContractLoad) {
        load.refusal = index.contract(load.id)?.refusal(at: wall)
        for ticket in load.tickets { ticket.review(index, at: wall, loop.now, holds: overlay.holds) }
    }

    /// Asks the streams of contracts whose backends stand otherwise than before.
    func reviewOverlay(_ contracts: Set<Identifier>) {
        for id in contracts {
            if let load = loadsByID[id] { review(load) }
        }
    }

    private func forgetEnded() {
        for (id, load) in loadsByID where load.tickets.isEmpty && index.slots[id] == nil {
            _ = load.meter(at: wall)
            loadsByID[id] = nil
        }
    }

    /// Whether the contract of a permitted route has used up the bytes of its period.
    func isUsedUp(_ contract: ServedContract) -> Bool { loads[contract.slot].isUsedUp }

    /// About once a second: time changes what is permitted, and drains end.
    override func sweep(_ now: MonotonicNanoseconds) {
        wall = clock.seconds(at: now)
        var isChanged = false
        for load in loadsByID.values {
            let isMeterNews = load.meter(at: wall)
            if let contract = index.contract(load.id) {
                if contract.refusal(at: wall) != load.refusal {
                    review(load)
                    isChanged = true
                } else if isMeterNews {
                    review(load)
                }
            }
            for ticket in load.tickets where ticket.cutAt != nil { ticket.cutIfDue(now) }
        }
        forgetEnded()
        if !isDraining { tunnels.removeAll { !$0.isAccepting && $0.allSessions.isEmpty } }
        if isChanged {
            for tunnel in tunnels { tunnel.tableChanged() }
        }
        onSweep?()
    }

    // MARK: Configuration

    /// Takes other bounds, from the next visitor, request and agent on.
    func take(_ limits: GatewayLimits, tunnel: TunnelLimits, stuckBytes: Int) {
        self.limits = limits
        requests = RequestHeadParser(limit: limits.headerSize)
        strays = SourceLimit(burst: limits.unknownPerSecond * 10, perSecond: limits.unknownPerSecond)
        loop.stuck.limit = stuckBytes
        overlay.desk?.recheck = UInt64(limits.overlayRecheckSeconds) * 1_000_000_000
        for tunnels in tunnels { tunnels.take(tunnel) }
    }

    // MARK: Ending

    /// No new visitors; those who are here leave after their answer. Agents are told to go elsewhere.
    func drain(_ duration: Duration) {
        isDraining = true
        for listener in listeners.values { listener.close() }
        listeners = [:]
        for port in ports.values.joined() { port.close() }
        ports = [:]
        for port in Array(datagramPorts.values.joined()) { port.close() }
        for tunnel in tunnels { tunnel.goAway(.drain, drain: duration, "The gateway is going down") }
    }

    /// Tells agents that the gateway ends now.
    func stop() {
        for tunnel in tunnels { tunnel.stop() }
    }

    override func loopStops() {
        for listener in Array(listeners.values) + adminListeners { listener.close() }
        for port in ports.values.joined() { port.close() }
        listeners = [:]
        adminListeners = []
        ports = [:]
        onSweep = nil
    }

    // MARK: What is known of contracts

    /// Brings the meters of all contracts up to date.
    func meter() {
        for load in loadsByID.values { _ = load.meter(at: wall) }
    }

    /// Refusals that belong to no contract, with the connections for which no descriptor was left.
    var allRefusals: RefusalCounts {
        var all = refusals
        let acceptors = Array(listeners.values) + ports.values.joined()
        all.count(.overload, times: acceptors.reduce(0) { $0 + $1.shed })
        return all
    }

    /// Streams and refusals of every contract of this loop.
    func contractFigures() -> [Identifier: ContractFigures] {
        loadsByID.mapValues {
            ContractFigures(streams: $0.tickets.count, refusals: $0.refusals, delays: $0.flow.delays)
        }
    }
}

extension Front: TunnelAuthority {
    func admits(key: PublicKey, contract: Identifier) -> RefusalCode? {
        index.refusal(agent: key, contract: contract, at: wall)
    }

    var height: UInt64 { index.publication.height }
    var usageDesk: UsageDesk? { core.usageDesk }
    func usesDataConnections(_ contract: Identifier) -> Bool { index.contract(contract)?.conn == .reverseRaw }
}

/// What one loop, or all, counted for a contract.
struct ContractFigures: Sendable {
    var streams = 0
    var refusals = RefusalCounts()
    /// Times that a stream waited for the contract's rate.
    var delays: Int64 = 0

    mutating func add(_ other: ContractFigures) {
        streams += other.streams
        delays += other.delays
        refusals.add(other.refusals)
    }
}
