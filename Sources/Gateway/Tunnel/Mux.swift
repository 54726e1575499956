/// Why a session ended.
enum SessionEnd: Equatable, Sendable {
    /// The connection was lost, or never stood.
    case lost(String)
    /// The peer said GOAWAY before the connection closed.
    case goneAway(GoAwayCode, message: String)
    /// The peer broke the protocol.
    case violated(GoAwayCode, message: String)
    /// This side closed.
    case closed
}

/// What a session does with the frames that are not of a stream's course.
protocol MuxDelegate: AnyObject {
    /// TLS stands; the peer's key is known.
    func muxIsEstablished(_ mux: Mux)

    /// An OPEN came (agent side). The delegate makes the stream with `accept`, or resets it.
    func mux(_ mux: Mux, isAsked stream: UInt32, payload: [UInt8])

    /// A session frame came.
    func mux(_ mux: Mux, received type: FrameType, payload: [UInt8])

    /// The session is over; every stream that ran was reset.
    func muxEnded(_ mux: Mux, _ end: SessionEnd)
}

/// Streams over one TLS connection: parses what comes, stages what goes, and writes once a turn. Loop-owned.
final class Mux: Handler {
    /// How far the session is.
    enum State {
        case handshaking
        case open
        /// GOAWAY is staged or sent; what comes is discarded until the peer closes.
        case closing(SessionEnd)
        case dead
    }

    let loop: Loop
    let leg: Leg
    let role: TunnelRole
    weak var delegate: (any MuxDelegate)?
    var state = State.handshaking
    let output: OutputStage
    var parser: FrameParser
    var streams: [UInt32: Stream] = [:]
    /// Streams that wait to send, in the order in which they came.
    var blocked: [Stream] = []
    /// No new streams go over it; those that run may end.
    var isLeaving = false
    /// The connection does not take what is staged.
    var isCongested = false
    var isWorking = false
    var isUnblocking = false
    /// The newest stream id that was used.
    var lastStream: UInt32 = 0
    /// Consecutive parts of one stream's payload, gathered until another frame comes.
    var parts: [Range<Int>] = []
    var partsStream: Stream?
    var liveness: Liveness
    var ticker: Timer?
    private var deadline: Timer?
    var grownTotal = 0
    private var roundTripTime: MonotonicNanoseconds = 0
    private var roundTripValue: UInt64 = 0
    var pathDelay = PathDelay()
    /// What the peer's GOAWAY said.
    var goneAway: SessionEnd?
    /// Window of a new stream, both directions; raised by WELCOME before the first stream.
    var initialWindow = Frame.initialWindow
    /// Bytes by which the windows of one session may grow beyond their start.
    static let growthLimit = 64 << 20
    /// Handshake, and later HELLO or WELCOME, each within this time.
    static let handshakeTime: Duration = .seconds(5)

    /// Takes over a leg with TLS and starts the handshake.
    init(leg: Leg, role: TunnelRole, delegate: any MuxDelegate) throws(SocketError) {
        self.leg = leg
        self.role = role
        self.delegate = delegate
        loop = leg.loop
        output = OutputStage(loop: leg.loop)
        parser = FrameParser(role: role)
        liveness = Liveness(now: leg.loop.now)
        super.init()
        try leg.register(self)
        setDeadline(Self.handshakeTime, "no TLS handshake within 5 s")
    }

    /// From now on another delegate is told.
    func hand(to delegate: any MuxDelegate) { self.delegate = delegate }

    var peerKey: [UInt8] { leg.tls?.peerKey ?? [] }
    var streamCount: Int { streams.count }
    var isOpen: Bool { if case .open = state { true } else { false } }
    var isDead: Bool { if case .dead = state { true } else { false } }

    /// Ends the session as lost when the time passes before `clearDeadline`.
    func setDeadline(_ time: Duration, _ reason: String) {
        deadline?.cancel()
        deadline = loop.after(time) { [weak self] in self?.end(.lost(reason)) }
    }

    func clearDeadline() {
        deadline?.cancel()
        deadline = nil
    }

    // MARK: Events

    override func ready(_ events: Events) {
        guard leg.note(events) else { return end(.lost("connection failed")) }
        switch state {
        case .handshaking: handshake()
        case .open: work()
        case .closing: drainClosing()
        case .dead: break
        }
    }

    override func again() {
        switch state {
        case .open: work()
        case .closing: drainClosing()
        default: break
        }
    }

    override func flush() {
        push()
    }

    override func loopStops() {
        end(.closed)
    }

    private func handshake() {
        switch leg.handshake() {
        case .again: return
        case .failed(let error): end(.lost(error.description))
        case .done:
            clearDeadline()
            Socket.setUserTimeout(leg.descriptor, .seconds(5))
            state = .open
            liveness.hear(loop.now)
            tick()
            delegate?.muxIsEstablished(self)
            if case .open = state { work() }
        }
    }

    private func tick() {
        ticker = loop.after(.nanoseconds(Int64(liveness.wait(loop.now)))) { [weak self] in
            guard let self, case .open = self.state else { return }
            switch self.liveness.tick(self.loop.now) {
            case .nothing: break
            case .ping: self.stage(number: self.loop.now, .ping)
            case .dead:
                // After a stall of the loop what the other end said may wait unread, behind what else is ready.
                guard case .byte = self.leg.peek() else { return self.end(.lost("nothing heard for 4.5 s")) }
                self.liveness.hear(self.loop.now)
            }
            self.tick()
        }
    }

    private func work() {
        if isCongested { push() }
        isWorking = true
        receive()
        // Credits came, or congestion is over.
        unblock()
        isWorking = false
    }

    // MARK: Streams

    /// True when nearly all stream ids were used: the session should give way to a new one.
    var isExhausted: Bool { lastStream >= 0xffff_ff00 }

    /// Opens a stream (gateway side); nil when the session takes no more.
    func open(payload: [UInt8], flow: ContractFlow, owner: any StreamOwner) -> Stream? {
        guard case .open = state, role == .gateway, lastStream < 0xffff_fff0, payload.count <= Frame.longestControl
        else {
            return nil
        }
        let id = lastStream == 0 ? 1 : lastStream + 2
        lastStream = id
        let stream = Stream(id: id, flow: flow, window: initialWindow, carrier: self)
        stream.owner = owner
        streams[id] = stream
        flow.opened += 1
        stage(.open, stream: id, payload.span)
        return stream
    }

    /// Makes the stream of an OPEN (agent side).
    func accept(_ id: UInt32, flow: ContractFlow) -> Stream {
        let stream = Stream(id: id, flow: flow, window: initialWindow, carrier: self)
        streams[id] = stream
        flow.opened += 1
        return stream
    }

    func forget(_ stream: Stream, grown: Int) {
        streams[stream.id] = nil
        if grown > 0 {
            grownTotal -= grown
            loop.windowGrowth -= grown
        }
    }

    /// True, and accounted for, when a window may grow by so many bytes.
    func mayGrow(by count: Int) -> Bool {
        guard grownTotal + count <= Self.growthLimit, loop.windowGrowth + count <= loop.windowGrowthLimit,
            !loop.stuck.isTight
        else { return false }
        grownTotal += count
        loop.windowGrowth += count
        return true
    }

    /// Round-trip time to the other end in nanoseconds, by the kernel or, where that is longer, by a PING; asked at most ten
    /// times a second.
    var roundTrip: UInt64 {
        if loop.now &- roundTripTime > 100_000_000 {
            roundTripTime = loop.now
            roundTripValue = UInt64(leg.roundTripMicroseconds) * 1000
            if let number = pathDelay.ask(loop.now) { stage(number: number, .ping) }
        }
        return max(roundTripValue, pathDelay.roundTrip)
    }
}
