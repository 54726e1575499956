internal import Contracts

/// What visitors meet on one loop: the routing snapshot, the contracts' loads, the tunnel's sessions, and storage that connections
/// borrow. Loop-owned.
final class Front: Handler {
    /// What came of asking for a stream.
    enum Opening {
        case opened(Stream, FlowTicket)
        /// Another loop has the session that was chosen.
        case elsewhere(Elsewhere)
        case refused(VisitorRefusal)
    }

    let loop: Loop
    private(set) var limits: GatewayLimits
    let registry: SessionRegistry
    let node: Identifier
    let core: GatewayCore
    private let clock: WallClock
    /// Of this loop alone: others count references to objects of their own.
    private(set) var routes: RoutesInForce
    var index: RoutingIndex { routes.index }
    /// Seconds since 1970, as of the last sweep.
    private(set) var wall: Timestamp
    /// Visitors are asked to leave after their answer.
    private(set) var isDraining = false
    var requests: RequestHeadParser
    var responses = ResponseHeadParser()
    /// Refusals that belong to no contract.
    private(set) var refusals = RefusalCounts()
    let revocations: RevocationMeter
    private var loads = ContractLoads()
    private var balancers: [Identifier: [RouteKey: Balancer]] = [:]
    /// At the last sweep the state was so old that contracts may end by it.
    private var wasMaybeStale = false
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
    /// Which contracts have no agent; on the first loop only.
    private(set) var presence: AgentPresence?
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
        routes = RoutesInForce(RoutingIndex(node: node, seed: 0))
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
        let session: TunnelSession
        switch choose(for: route, visitor) {
        case .own(let chosen): session = chosen
        case .elsewhere(let place): return .elsewhere(place)
        case .none: return .refused(.noAgent)
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
            session: session,
            visitor: visitor.address,
            load: load,
            holder: holder
        )
        return .opened(stream, ticket)
    }

    /// Counts a stream in, within the limits of its contract; nil then.
    func countIn(_ load: ContractLoad, _ contract: ServedContract) -> VisitorRefusal? {
        if loop.stuck.isOverloaded { return .overload }
        if load.isUsedUp { return .quota }
        if let rate = contract.connRate, !load.shared.load.admit(rate: rate, at: loop.now) { return .rate }
        return load.shared.load.enter(limit: contract.conns) ? nil : .limit
    }

    /// The place of the agent that takes the next stream of a route.
    func pick(
        _ candidates: [(key: PublicKey, weight: Int64, streams: Int)],
        of route: ServedRoute,
        for visitor: IPAddress?
    ) -> Int? {
        if candidates.count <= 1 { return candidates.isEmpty ? nil : 0 }
        return balancers[route.contract.id, default: [:]][route.key, default: Balancer()].pick(
            candidates,
            route.route.balance,
            visitor: visitor
        )
    }

    // MARK: Counting

    func count(_ refusal: VisitorRefusal, _ contract: ServedContract?) {
        if let contract {
            load(of: contract).refusals.count(refusal)
        } else {
            refusals.count(refusal)
        }
    }

    /// What this loop counts for a contract; begins with the first visitor.
    func load(of contract: ServedContract) -> ContractLoad {
        loads.load(contract.id) {
            let shared = core.shared(contract.id)
            let load = ContractLoad(id: contract.id, shared: shared, loop: loop, revocations: revocations)
            _ = load.meter(at: wall, isFirst: true)
            load.refusal = index.refusal(of: contract, at: wall)
            return load
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
    func hand(over leg: Leg, _ visitor: Visitor, _ carry: [UInt8], to place: Elsewhere) {
        let descriptor = leg.release()
        let visitor = visitor.passedOn(to: place.agent)
        let accepted = core.onFront(place.loop) { $0.serveHTTP(descriptor, visitor, carry) }
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
    func apply(_ index: RoutingIndex, _ diff: TableDiff) {
        let wasMaybeStale = self.index.mayBeStale(at: wall)
        routes = RoutesInForce(index)
        wall = clock.seconds(at: loop.now)
        for id in diff.changed {
            if let load = loads[id] {
                load.flow.pace(loop, load.shared.inbound, load.shared.outbound)
                if diff.touched.contains(id) || diff.ended.contains(id) { review(load) }
            }
            if let kept = balancers[id]?.filter({ index.route($0.key) != nil }) {
                balancers[id] = kept.isEmpty ? nil : kept
            }
            tellPresence(id)
        }
        if wasMaybeStale || index.mayBeStale(at: wall) {
            reviewAll()
        } else {
            for tunnel in tunnels { tunnel.tableChanged(diff.changed) }
        }
        if !diff.ended.isEmpty { forgetEnded() }
        overlay.keep { index.route($0) != nil }
    }

    /// A contract of the table may have no agent, or may need none any more.
    private func tellPresence(_ id: Identifier) {
        if let contract = index.contract(id), contract.conn != .overlay, !registry.isServed(id) {
            presence?.miss(id, at: loop.now)
        } else {
            presence?.settle(id)
        }
    }

    /// From now on this loop knows which contracts have no agent.
    func watchPresence() {
        presence = AgentPresence()
        registry.onPresence = { [weak self] contract, _ in self?.tellPresence(contract) }
    }

    private func review(_ load: ContractLoad) {
        load.refusal = index.contract(load.id).flatMap { index.refusal(of: $0, at: wall) }
        for ticket in load.tickets { ticket.review(routes, at: wall, loop.now, holds: overlay.holds) }
    }

    /// Asks the streams of contracts whose backends stand otherwise than before.
    func reviewOverlay(_ contracts: Set<Identifier>) {
        for load in contracts.compactMap({ loads[$0] }) { review(load) }
    }

    /// The age of the state may have ended contracts, or given them back.
    private func reviewAll() {
        for load in loads.all { review(load) }
        for tunnel in tunnels { tunnel.tableChanged() }
    }

    private func forgetEnded() {
        loads.forget(at: wall) { index.contract($0) != nil }
    }

    /// Whether the contract of a permitted route has used up the bytes of its period.
    func isUsedUp(_ contract: ServedContract) -> Bool { load(of: contract).isUsedUp }

    /// About once a second: time changes what is permitted, and drains end.
    override func sweep(_ now: MonotonicNanoseconds) {
        wall = clock.seconds(at: now)
        var changed: Set<Identifier> = []
        for load in loads.all {
            let isMeterNews = load.meter(at: wall)
            if let contract = index.contract(load.id) {
                if index.refusal(of: contract, at: wall) != load.refusal {
                    review(load)
                    changed.insert(load.id)
                } else if isMeterNews {
                    review(load)
                }
            }
            for ticket in load.tickets where ticket.cutAt != nil { ticket.cutIfDue(now) }
        }
        forgetEnded()
        if !isDraining { tunnels.removeAll { !$0.isAccepting && $0.allSessions.isEmpty } }
        let isMaybeStale = index.mayBeStale(at: wall)
        if isMaybeStale || wasMaybeStale { reviewAll() }
        wasMaybeStale = isMaybeStale
        if !changed.isEmpty {
            for tunnel in tunnels { tunnel.tableChanged(changed) }
        }
        registry.tellStreams()
        presence?.look(limits.unreachableSeconds, at: now)
        onSweep?()
    }

    // MARK: Configuration

    /// Takes other bounds, from the next visitor, request and agent on.
    func take(_ limits: GatewayLimits, tunnel: TunnelLimits) {
        self.limits = limits
        requests = RequestHeadParser(limit: limits.headerSize)
        strays = SourceLimit(burst: limits.unknownPerSecond * 10, perSecond: limits.unknownPerSecond)
        loop.stuck.limit = core.stuckLimit(of: registry.place)
        overlay.desk?.recheck = UInt64(limits.overlayRecheckSeconds) * 1_000_000_000
        for tunnels in tunnels { tunnels.take(tunnel) }
    }

    // MARK: Ending

    /// No new visitors; those who are here leave after their answer. Agents are told to go elsewhere.
    func drain(_ duration: Duration) {
        isDraining = true
        for listener in listeners.values { listener.finish() }
        listeners = [:]
        for port in ports.values.joined() { port.finish() }
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
        for load in loads.all { _ = load.meter(at: wall) }
    }

    /// Refusals that belong to no contract, with the connections for which no descriptor was left.
    var allRefusals: RefusalCounts {
        var all = refusals
        let acceptors = Array(listeners.values) + ports.values.joined()
        all.count(.overload, times: acceptors.reduce(0) { $0 + $1.shed })
        return all
    }

    /// Streams and refusals of every contract of this loop that had a visitor.
    var contractFigures: [Identifier: ContractFigures] { loads.figures }

    /// Contracts with streams.
    var runningContracts: Set<Identifier> { Set(loads.all.filter { !$0.tickets.isEmpty }.map(\.id)) }
}

extension Front: TunnelAuthority {
    func admits(key: PublicKey, contract: Identifier) -> RefusalCode? {
        index.refusal(agent: key, contract: contract, at: wall)
    }

    var height: UInt64 { index.context.height }
    var usageDesk: UsageDesk? { core.usageDesk }
    func usesDataConnections(_ contract: Identifier) -> Bool { index.contract(contract)?.conn == .reverseRaw }
}
