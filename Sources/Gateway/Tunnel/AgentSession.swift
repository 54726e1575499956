internal import Contracts
internal import Glibc

/// One connection of the agent to a gateway, from the dial on. Loop-owned.
final class AgentSession: MuxDelegate {
    enum News {
        case answered(Welcome)
        case goneAway(GoAway)
        case ended(SessionEnd)
    }

    let core: AgentCore
    let node: Identifier
    let lines: AgentLines
    private let slot: Int
    private var mux: Mux?
    private let onNews: (AgentSession, News) -> Void
    private var isWelcome = false
    /// The gateway's newest answer, with the refusals of all of its frames.
    private var answer: Welcome?

    /// Dials an address of a gateway whose transport key is pinned.
    init(
        core: AgentCore,
        endpoint: GatewayEndpoint,
        address: SocketAddress,
        slot: Int,
        onNews: @escaping (AgentSession, News) -> Void
    ) throws {
        self.core = core
        self.slot = slot
        self.onNews = onNews
        node = endpoint.node
        lines = AgentLines(loop: core.loop, address: address)
        let engine = try TLSEngine(core.context, pinned: endpoint.transportKey.bytes, loop: core.loop)
        let leg = try Leg(dialing: address, loop: core.loop, tls: engine)
        mux = try Mux(leg: leg, role: .agent, delegate: self)
    }

    var isOpen: Bool { mux?.isOpen == true }

    /// Ends the session; the gateway learns that the agent stops.
    func close() {
        mux?.close(.closed, GoAway(code: .shutdown, drain: 0, message: "The agent stops"))
    }

    func drop() { mux?.end(.closed) }

    /// Tells the gateway that nothing is served here any more. It opens no more streams, lets those that run end, and closes.
    func retire() {
        guard isWelcome, answer?.accepted.isEmpty == false, let mux else { return close() }
        var last = hello
        last.contracts = []
        mux.stage(session: .update, last.payload)
    }

    /// Tells the gateway to go to other agents. It closes the session when nothing runs over it any more.
    func leave(within seconds: Int64) {
        guard isWelcome, let mux else { return close() }
        mux.stage(session: .goAway, GoAway(code: .drain, drain: seconds, message: "The agent stops").payload)
    }

    /// Tells the gateway that the agent serves other contracts now.
    func contractsChanged() {
        guard isWelcome, let mux else { return }
        answer = nil
        mux.stage(session: .update, hello.payload)
    }

    /// Tells the gateway which local services began to work, or stopped.
    func tell(health news: [HealthNews]) {
        guard isWelcome, let mux else { return }
        for payload in HealthNews.payloads(news) { mux.stage(session: .health, payload) }
    }

    private var hello: Hello {
        Hello(
            contracts: core.contractList,
            instance: core.instance,
            slot: Int64(slot),
            slots: Int64(core.slots),
            agent: core.agent
        )
    }

    // MARK: Frames

    func muxIsEstablished(_ mux: Mux) {
        mux.stage(session: .hello, hello.payload)
        mux.setDeadline(Mux.handshakeTime, "no WELCOME within 5 s")
    }

    func mux(_ mux: Mux, received type: FrameType, payload: [UInt8]) {
        if type == .goAway {
            guard let message = GoAway(payload) else { return }
            return onNews(self, .goneAway(message))
        }
        guard isWelcome == (type != .welcome) else { return refuse(mux, "WELCOME comes first, and once") }
        switch type {
        case .welcome:
            guard let welcome = Welcome(payload), welcome.node == node else {
                return refuse(mux, "WELCOME is malformed")
            }
            mux.clearDeadline()
            isWelcome = true
            mux.initialWindow = Int(welcome.window)
            heard(welcome)
            // A gateway takes everything to work until it is told otherwise.
            tell(health: core.failedServices)
        case .update:
            guard let welcome = Welcome(payload) else { return refuse(mux, "UPDATE is malformed") }
            heard(welcome)
        case .usage:
            guard let claim = UsageStatement(payload, node: node), claim.signature == nil else {
                return refuse(mux, "USAGE is malformed")
            }
            if let statement = core.answer(claim) { mux.stage(session: .usage, statement.payload) }
        case .token:
            if !heard(token: payload, mux) { refuse(mux, "TOKEN is malformed") }
        default: refuse(mux, "unexpected frame")
        }
    }

    /// Takes an answer. One that says the same of the same height goes on with the refusals of the one before. Refusals of what was not asked
    /// for are left out, since a gateway could name new ones for ever.
    private func heard(_ welcome: Welcome) {
        var whole = welcome
        whole.refused.removeAll { core.contracts[$0.contract] == nil }
        if let answer, answer.height == welcome.height, answer.accepted == welcome.accepted {
            let known = Set(answer.refused.map(\.contract))
            whole.refused = answer.refused + whole.refused.filter { !known.contains($0.contract) }
        }
        answer = whole
        onNews(self, .answered(whole))
    }

    private func refuse(_ mux: Mux, _ rule: String) {
        mux.close(
            .violated(.protocolViolation, message: rule),
            GoAway(code: .protocolViolation, drain: 0, message: rule)
        )
    }

    func muxEnded(_ mux: Mux, _ end: SessionEnd) {
        self.mux = nil
        lines.end()
        onNews(self, .ended(end))
    }

    // MARK: Streams

    func mux(_ mux: Mux, isAsked stream: UInt32, payload: [UInt8]) {
        guard isWelcome else { return refuse(mux, "OPEN before WELCOME") }
        guard let request = StreamOpen(payload) else { return refuse(mux, "OPEN is malformed") }
        guard let exposures = core.contracts[request.contract] else {
            return mux.stageReset(stream: stream, .refused)
        }
        guard let target = exposures[request.expose] else { return mux.stageReset(stream: stream, .noSuchExposure) }
        guard target.mayServe(request.kind) else { return mux.stageReset(stream: stream, .noSuchExposure) }
        if core.rawContracts.contains(request.contract) { return ask(stream, request, target, mux) }
        let flow = core.flow(of: request.contract, at: node)
        let join: (SocketAddress, Stream) -> Void =
            if target.trust != nil {
                { self.dialSecurely($0, $1, request, target) }
            } else {
                request.kind == ExposeKind.udp.rawValue ? forwardDatagrams : dial
            }
        switch target.place {
        case .address(let address): join(address, mux.accept(stream, flow: flow))
        case .name(let host, let port):
            let stream = mux.accept(stream, flow: flow)
            let wait = PendingDial()
            stream.owner = wait
            core.resolve(host, port) { addresses in
                guard !stream.isClosed else { return }
                guard let address = addresses.first else { return stream.reset(.dialFailed) }
                join(address, stream)
                wait.hand(to: stream)
                stream.resumeReceiving()
            }
        }
    }

    /// Connects the stream to the local service. What the visitor sent already is written as soon as the socket takes it.
    private func dial(_ address: SocketAddress, _ stream: Stream) {
        do throws(SocketError) {
            let leg = try Leg(dialing: address, loop: core.loop)
            let link = try StreamLink(leg: leg, abortCode: .internalError)
            link.attach(stream)
            stream.owner = link
        } catch {
            stream.reset(error.code == EMFILE || error.code == ENFILE ? .limit : .dialFailed)
        }
    }

    /// Passes the datagrams of the stream on to a local UDP service.
    private func forwardDatagrams(_ address: SocketAddress, _ stream: Stream) {
        if case .unix = address { return stream.reset(.noSuchExposure) }
        do throws(SocketError) {
            _ = try DatagramLink(stream, target: address)
        } catch {
            stream.reset(error.code == EMFILE || error.code == ENFILE ? .limit : .dialFailed)
        }
    }

    /// Holds the place of a local connection whose address is being looked up.
    private final class PendingDial: StreamOwner {
        private var hasFinished = false
        private var datagrams = DatagramQueue()

        /// Tells the stream's new owner what came in the meantime.
        func hand(to stream: Stream) {
            datagrams.drain { stream.owner?.receive(datagram: $0) ?? true }
            if hasFinished { stream.retellFinish() }
        }

        func receive(datagram: [UInt8]) -> Bool {
            datagrams.append(datagram)
            return true
        }

        func receive(_ bytes: Span<UInt8>) -> Int { 0 }
        func receiveFinish() { hasFinished = true }
        func receiveReset(_ code: ResetCode) {}
        func streamCanSend() {}
    }
}
