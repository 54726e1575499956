internal import Contracts

/// Limits of the tunnel endpoint on one loop, each with its default.
struct TunnelLimits: Sendable {
    /// Connections that have not said yet what they are: a session or a data connection; more are closed unanswered. They are cheap,
    /// and an agent makes one for each visitor that it has no connection for.
    var arrivals = 1024
    /// The same of one source.
    var arrivalsOfOneSource = 256
    /// Connections that have not said HELLO yet; more are closed unanswered.
    var unauthenticated = 512
    /// Handshakes one source may begin in a burst; agents behind one address come together after an outage.
    var handshakeBurst = 64
    /// Handshakes one source may begin per second after the burst.
    var handshakesPerSecond = 16
    /// Handshakes that all sources together may begin in a burst, and per second after it.
    var allHandshakesBurst = 2000
    var allHandshakesPerSecond = 500
    /// Sessions at most; the next gets GOAWAY `overload`.
    var sessions = 10_000
    /// Sessions without any admitted contract yet; the first of them give their places to the next.
    var unadmitted = 1024
    /// How long a session without any admitted contract is kept, for the gateway to catch up with the ledger.
    var unadmittedTime: Duration = .seconds(10)
    /// What running streams have left when the last contract of their session ends.
    var drain: Duration = .seconds(10)
    /// Silence after which a stream ends, told in WELCOME; zero for none.
    var idle: Duration = .zero
}

/// Accepts agents on the tunnel endpoint of one loop: TLS, HELLO and WELCOME, supersession. Loop-owned.
final class TunnelServer {
    let node: Identifier
    /// The configured address; nil in tests of the endpoint alone.
    var key: ListenerKey?
    private(set) var limits: TunnelLimits
    /// Connections that were closed before or at their HELLO.
    var refusals = TunnelRefusals()
    let registry: SessionRegistry
    let authority: any TunnelAuthority
    let loop: Loop
    private let context: TLSContext
    private var acceptor: Acceptor?
    var handshakes: SourceLimit
    private var allHandshakes: SourceLimit
    var arrivals = Arrivals()
    private var greetings: [ObjectIdentifier: Greeting] = [:]
    private var sessions: [ObjectIdentifier: TunnelSession] = [:]
    private var strangers = Strangers()
    var naming = SessionNames()

    /// Starts accepting on the socket, which other loops may share. `context` is the tunnel context of role server.
    init(
        loop: Loop,
        socket: ListeningSocket,
        context: TLSContext,
        node: Identifier,
        authority: any TunnelAuthority,
        registry: SessionRegistry,
        limits: TunnelLimits = TunnelLimits()
    ) throws(SocketError) {
        self.loop = loop
        self.context = context
        self.node = node
        self.authority = authority
        self.registry = registry
        self.limits = limits
        handshakes = SourceLimit(burst: limits.handshakeBurst, perSecond: limits.handshakesPerSecond)
        allHandshakes = SourceLimit(burst: limits.allHandshakesBurst, perSecond: limits.allHandshakesPerSecond)
        acceptor = try Acceptor(loop: loop, socket: socket) { [weak self] descriptor, peer in
            guard let self else { return Leg.closeUnserved(descriptor) }
            self.arrived(descriptor, peer)
        }
    }

    /// Sessions that said HELLO, joined or not.
    var allSessions: [TunnelSession] { Array(sessions.values) }

    /// The routing snapshot of this loop changed, or time went on: every session is judged again.
    func tableChanged() {
        for session in allSessions { session.tableChanged() }
    }

    /// Some contracts changed: the sessions that name them are judged again.
    func tableChanged(_ contracts: Set<Identifier>) {
        for session in naming.naming(contracts) { session.tableChanged() }
    }

    var isAccepting: Bool { acceptor != nil }

    /// Everything that was closed unanswered.
    var allRefusals: TunnelRefusals {
        var all = refusals
        all.descriptors = acceptor?.shed ?? 0
        return all
    }

    /// Takes other bounds, from the next connection on.
    func take(_ limits: TunnelLimits) {
        self.limits = limits
        handshakes = SourceLimit(burst: limits.handshakeBurst, perSecond: limits.handshakesPerSecond)
        allHandshakes = SourceLimit(burst: limits.allHandshakesBurst, perSecond: limits.allHandshakesPerSecond)
    }

    /// Accepts no more; sessions go on.
    func stopAccepting() {
        acceptor?.close()
        acceptor = nil
    }

    /// Accepts no more and tells every agent to go elsewhere; running streams have `drain`.
    func goAway(_ code: GoAwayCode, drain: Duration, _ message: String) {
        stopAccepting()
        for session in allSessions { session.goAway(code, drain: drain, message) }
    }

    /// Ends everything at once.
    func stop() {
        goAway(.shutdown, drain: .zero, "The gateway stops")
        for greeting in greetings.values { greeting.mux?.end(.closed) }
        for arrival in arrivals.everyone { arrival.end() }
    }

    /// Begins the TLS handshake of a connection that came `waited` nanoseconds ago.
    func greet(_ descriptor: Int32, _ peer: SocketAddress?, waited: UInt64) {
        if let source = SourceLimit.Source(peer), !handshakes.admits(source, now: loop.now) {
            return refuse(descriptor, \.source)
        }
        // A source that is over its own limit does not use up that of all.
        guard allHandshakes.admits(.v4(0), now: loop.now) else { return refuse(descriptor, \.rate) }
        guard greetings.count < limits.unauthenticated, let engine = try? TLSEngine(context, loop: loop) else {
            return refuse(descriptor, \.greetings)
        }
        let leg = Leg(adopting: descriptor, loop: loop, tls: engine)
        let greeting = Greeting(server: self, peer: peer)
        guard let mux = try? Mux(leg: leg, role: .gateway, delegate: greeting) else { return }
        greeting.mux = mux
        let left = max(0, Int64(clamping: Mux.handshakeTime.nanoseconds) - Int64(clamping: waited))
        mux.setDeadline(.nanoseconds(left), "no TLS handshake within 5 s")
        greetings[ObjectIdentifier(greeting)] = greeting
    }

    /// TLS stands: the connection becomes a session, which has 5 s for its HELLO.
    private func established(_ greeting: Greeting, _ mux: Mux) {
        greetings[ObjectIdentifier(greeting)] = nil
        guard let key = PublicKey(mux.peerKey) else { return mux.end(.lost("the peer's key is weak")) }
        let session = TunnelSession(mux: mux, key: key, peer: greeting.peer, server: self)
        mux.hand(to: session)
        guard makePlace() else {
            refusals.full += 1
            let message = GoAway(code: .overload, drain: 0, message: "This gateway is full", retryAfter: 30)
            return mux.close(.closed, message)
        }
        sessions[ObjectIdentifier(session)] = session
        strangers.add(session)
        mux.setDeadline(Mux.handshakeTime, "no HELLO within 5 s")
    }

    /// Makes place for one more agent; false when all places belong to agents that are served.
    private func makePlace() -> Bool {
        let isFull = sessions.count >= limits.sessions
        guard isFull || strangers.count >= limits.unadmitted else { return true }
        guard let stranger = strangers.removeFirst() else { return !isFull }
        sessions[ObjectIdentifier(stranger)] = nil
        refusals.strangers += 1
        stranger.giveWay()
        return true
    }

    /// A first contract is served for the session's key.
    func admitted(_ session: TunnelSession) { strangers.remove(session) }

    func sessionEnded(_ session: TunnelSession, _ end: SessionEnd) {
        sessions[ObjectIdentifier(session)] = nil
        strangers.remove(session)
        refusals.count(end, saidHello: !session.instance.isEmpty)
    }

    /// A connection never said what it is.
    func countMute() { refusals.handshake += 1 }

    /// A session ends because it never named a contract that is served here for its key.
    func countUnadmitted() { refusals.unadmitted += 1 }

    /// A connection whose TLS handshake is under way.
    private final class Greeting: MuxDelegate {
        private weak var server: TunnelServer?
        let peer: SocketAddress?
        var mux: Mux?

        init(server: TunnelServer, peer: SocketAddress?) {
            self.server = server
            self.peer = peer
        }

        func muxIsEstablished(_ mux: Mux) {
            self.mux = nil
            guard let server else { return mux.end(.closed) }
            server.established(self, mux)
        }

        func mux(_ mux: Mux, isAsked stream: UInt32, payload: [UInt8]) {}
        func mux(_ mux: Mux, received type: FrameType, payload: [UInt8]) {}

        func muxEnded(_ mux: Mux, _ end: SessionEnd) {
            self.mux = nil
            server?.greetings[ObjectIdentifier(self)] = nil
            if end != .closed { server?.refusals.handshake += 1 }
        }
    }
}
