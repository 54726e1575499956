internal import Contracts

/// Says what a gateway serves, from the routing snapshot of the loop that asks. Loop-owned.
protocol TunnelAuthority: AnyObject {
    /// Nil when the contract is live here, names this node and has the key among its backends; else the reason.
    func admits(key: PublicKey, contract: Identifier) -> RefusalCode?

    /// Ledger height of the snapshot.
    var height: UInt64 { get }

    /// Sessions joined, left, or serve other contracts than before.
    func sessionsChanged()

    /// Where what agents signed goes; nil where nobody keeps it.
    var usageDesk: UsageDesk? { get }

    /// Whether visitors of the contract get data connections (`reverse-raw`).
    func usesDataConnections(_ contract: Identifier) -> Bool

    /// Has another loop begin the handshake of a connection that came `waited` nanoseconds ago; false, and the descriptor is the
    /// caller's, where it is this loop's turn.
    func passOn(_ descriptor: Int32, _ peer: SocketAddress?, from server: TunnelServer, waited: UInt64) -> Bool
}

extension TunnelAuthority {
    func sessionsChanged() {}
    var usageDesk: UsageDesk? { nil }
    func usesDataConnections(_ contract: Identifier) -> Bool { false }
    func passOn(_ descriptor: Int32, _ peer: SocketAddress?, from server: TunnelServer, waited: UInt64) -> Bool {
        false
    }
}

/// An authenticated agent session on the gateway. Loop-owned.
final class TunnelSession: MuxDelegate {
    let loop: Loop
    /// The agent's identity.
    let key: PublicKey
    let peer: SocketAddress?
    /// Contracts admitted now; streams open for these alone.
    private(set) var contracts: Set<Identifier> = []
    private(set) var instance = ""
    private(set) var slot: Int64 = 0
    private(set) var slots: Int64 = 0
    /// Name and version the agent gave itself.
    private(set) var agent = ""
    private(set) var isDraining = false
    /// The newest claim for each contract, whose answer may come.
    var claims: [Identifier: UsageStatement] = [:]
    /// Claims that were sent and not answered.
    var openClaims = 0
    /// This gateway.
    let node: Identifier
    /// What the agent's own checks say is down.
    private(set) var unhealthy: Set<SessionBackend> = []
    /// Order in which the sessions of all loops joined.
    var order: UInt64 = 0

    /// The session's data connections.
    let lines: DataLines

    private let mux: Mux
    private weak var server: TunnelServer?
    private var named: [Identifier] = []
    private var talk: TalkAllowance
    private var hasJoined = false
    private var wasAdmitted = false

    /// Takes over an established mux whose peer key the caller checked for form.
    init(mux: Mux, key: PublicKey, peer: SocketAddress?, server: TunnelServer) {
        self.mux = mux
        self.key = key
        self.peer = peer
        self.server = server
        node = server.node
        loop = mux.loop
        talk = TalkAllowance(now: mux.loop.now)
        lines = DataLines(desk: server.registry.desk) { [weak mux] in mux?.stage(session: .token, $0.payload) }
    }

    /// Streams open now.
    var activeStreams: Int { mux.streamCount }
    var isOpen: Bool { mux.isOpen }

    /// False while the agent's own checks say that the exposure's backend is down.
    func isHealthy(_ backend: SessionBackend) -> Bool { unhealthy.isEmpty || !unhealthy.contains(backend) }

    /// Opens a stream for a visitor. Nil when the session does not serve the contract, drains or is over. The caller asked
    /// the routing index for a permit just before.
    func open(_ request: StreamOpen, flow: ContractFlow, owner: any StreamOwner) -> Stream? {
        guard contracts.contains(request.contract), !isDraining else { return nil }
        guard let stream = mux.open(payload: request.payload, flow: flow, owner: owner) else { return nil }
        if mux.isExhausted, let server {
            goAway(.drain, drain: server.limits.drain, "This session has used up its stream ids")
        }
        return stream
    }

    /// Takes no new streams from now on; those running have `drain`, then the session closes.
    func goAway(_ code: GoAwayCode, drain: Duration, _ message: String, retryAfter: Int64? = nil) {
        guard mux.isOpen, !isDraining else { return }
        let seconds = drain.components.seconds
        let frame = GoAway(code: code, drain: seconds, message: message, retryAfter: retryAfter)
        takeNoMore()
        guard seconds > 0, mux.streamCount > 0 else { return mux.close(.closed, frame) }
        mux.stage(session: .goAway, frame.payload)
        closeWhenEmpty(frame, atLatest: drain)
    }

    /// Ends the session, for which no contract was admitted yet, to make place for another.
    func giveWay() {
        let message = "Too many agents without a contract here"
        mux.close(.closed, GoAway(code: .overload, drain: 0, message: message, retryAfter: 10))
    }

    /// The agent is leaving: streams go to others, those that run have the time it gave them. It closes by itself when it gave none, and
    /// does not stay when it does not.
    private func agentLeaves(_ message: GoAway) {
        guard !isDraining else { return }
        takeNoMore()
        let frame = GoAway(code: .drain, drain: 0, message: "Nothing runs over this session any more")
        guard message.drain > 0 else {
            loop.after(Mux.handshakeTime) { [weak self] in self?.mux.close(.closed, frame) }
            return
        }
        guard mux.streamCount > 0 else { return mux.close(.closed, frame) }
        closeWhenEmpty(frame, atLatest: .seconds(min(message.drain, GoAway.longestDrain)))
    }

    private func takeNoMore() {
        isDraining = true
        leave()
        lines.setWanted(false)
        mux.leave()
    }

    private func closeWhenEmpty(_ frame: GoAway, atLatest limit: Duration) {
        loop.after(limit) { [weak self] in self?.mux.close(.closed, frame) }
        closeWhenEmpty(frame)
    }

    private func closeWhenEmpty(_ frame: GoAway) {
        loop.after(.milliseconds(500)) { [weak self] in
            guard let self, self.mux.isOpen else { return }
            if self.mux.streamCount == 0 { self.mux.close(.closed, frame) } else { self.closeWhenEmpty(frame) }
        }
    }

    func send(usage statement: UsageStatement) { mux.stage(session: .usage, statement.payload) }

    // MARK: Frames

    func muxIsEstablished(_ mux: Mux) {}

    func mux(_ mux: Mux, isAsked stream: UInt32, payload: [UInt8]) {}

    func mux(_ mux: Mux, received type: FrameType, payload: [UInt8]) {
        guard instance.isEmpty == (type == .hello) else { return refuse("HELLO comes first, and once") }
        guard talk.admits(type, now: loop.now) else { return sendAway() }
        switch type {
        case .hello: hello(payload)
        case .update: update(payload)
        case .health: health(payload)
        case .goAway:
            guard let message = GoAway(payload) else { return refuse("GOAWAY is malformed") }
            agentLeaves(message)
        case .usage:
            if !heard(usage: payload, desk: server?.authority.usageDesk) {
                refuse("USAGE was not asked for, or is not signed")
            }
        default: refuse("unexpected frame")
        }
    }

    private func refuse(_ rule: String) {
        mux.close(
            .violated(.protocolViolation, message: rule),
            GoAway(code: .protocolViolation, drain: 0, message: rule)
        )
    }

    private func sendAway() {
        let message = "This session says more than a gateway has time for"
        let frame = GoAway(code: .overload, drain: 0, message: message, retryAfter: 30)
        mux.close(.violated(.overload, message: message), frame)
    }

    private func hello(_ payload: [UInt8]) {
        guard let hello = Hello(payload) else { return refuse("HELLO is malformed") }
        guard hello.version == Hello.version else {
            let message = "This gateway speaks version \(Hello.version)"
            return mux.close(
                .violated(.version, message: message),
                GoAway(code: .version, drain: 0, message: message)
            )
        }
        mux.clearDeadline()
        name(hello.contracts)
        instance = hello.instance
        slot = hello.slot
        slots = hello.slots
        agent = hello.agent
        judge(answer: .welcome)
        guard contracts.isEmpty, let server else { return }
        // The ledger may be a moment ahead of this gateway: the agent is kept for a while, served nothing.
        loop.after(server.limits.unadmittedTime) { [weak self] in
            guard let self, !self.wasAdmitted, self.isOpen else { return }
            self.server?.countUnadmitted()
            self.goAway(.revoked, drain: .zero, "No contract of this agent is served here")
        }
    }

    private func update(_ payload: [UInt8]) {
        guard let hello = Hello(payload), hello.instance == instance, hello.slot == slot else {
            return refuse("UPDATE is malformed")
        }
        // It gave way, perhaps to a newer one, and does not come back by naming contracts anew.
        guard !isDraining else { return }
        name(hello.contracts)
        // What is not named any more is not checked any more; named again, it begins as healthy.
        unhealthy = unhealthy.filter { named.contains($0.contract) }
        judge(answer: .update)
    }

    private func name(_ contracts: [Identifier]) {
        server?.naming.move(self, from: named, to: contracts)
        named = contracts
    }

    private func health(_ payload: [UInt8]) {
        guard let items = (try? JSONValue(canonical: payload))?["backends"]?.asArray else {
            return refuse("HEALTH is malformed")
        }
        let before = unhealthy
        for item in items {
            guard let contract = item["contract"]?.asString.flatMap({ Identifier(hex: $0) }),
                let expose = item["expose"]?.asString, Grammar.isLabel(expose), let isFine = item["ok"]?.asBoolean
            else { return refuse("HEALTH is malformed") }
            guard named.contains(contract) else { continue }
            let backend = SessionBackend(contract: contract, expose: expose)
            if isFine {
                unhealthy.remove(backend)
            } else if unhealthy.count < 4096 {
                unhealthy.insert(backend)
            }
        }
        if hasJoined, unhealthy != before { server?.registry.changed(self) }
        server?.authority.sessionsChanged()
    }

    // MARK: Admission

    /// A contract that it names changed: tells the agent what is new, ends the session when nothing is left of it.
    func tableChanged() {
        guard !instance.isEmpty, !isDraining, mux.isOpen else { return }
        judge(answer: nil)
    }

    /// Judges every named contract. An answer goes out when one is asked for, or when the set of the admitted changed.
    private func judge(answer: FrameType?) {
        guard let server else { return }
        var admitted: [Identifier] = []
        var refused: [Refusal] = []
        for contract in named {
            if let code = server.authority.admits(key: key, contract: contract) {
                let message = "\(code.sentence) (height \(server.authority.height))"
                refused.append(Refusal(contract: contract, code: code, message: message))
            } else {
                admitted.append(contract)
            }
        }
        let set = Set(admitted)
        let isChanged = set != contracts
        guard answer != nil || isChanged else { return }
        contracts = set
        let welcome = Welcome(
            accepted: admitted,
            refused: refused,
            height: Int64(clamping: server.authority.height),
            node: server.node,
            idle: server.limits.idle.components.seconds,
            window: Int64(Frame.initialWindow)
        )
        for (index, payload) in welcome.payloads.enumerated() {
            mux.stage(session: index == 0 ? answer ?? .update : .update, payload)
        }
        guard mux.isOpen else { return }
        if !admitted.isEmpty {
            if !wasAdmitted { server.admitted(self) }
            wasAdmitted = true
            if hasJoined { server.registry.changed(self) } else { join(server) }
        } else if hasJoined {
            goAway(.revoked, drain: server.limits.drain, "No contract of this agent is served here any more")
        }
        lines.setWanted(!isDraining && contracts.contains(where: server.authority.usesDataConnections))
        if isChanged { server.authority.sessionsChanged() }
    }

    private func join(_ server: TunnelServer) {
        hasJoined = true
        server.registry.join(self)
    }

    private func leave() {
        guard hasJoined else { return }
        hasJoined = false
        server?.registry.leave(self)
        server?.authority.sessionsChanged()
    }

    func muxEnded(_ mux: Mux, _ end: SessionEnd) {
        isDraining = true
        leave()
        lines.end()
        name([])
        server?.sessionEnded(self, end)
    }
}

/// What an agent's health checks speak of: one exposure of a contract.
struct SessionBackend: Hashable, Sendable {
    let contract: Identifier
    let expose: String
}
