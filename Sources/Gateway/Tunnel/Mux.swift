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

    /// The session is over; every stream was reset.
    func muxEnded(_ mux: Mux, _ end: SessionEnd)
}

/// Streams over one TLS connection: parses what comes, stages what goes, and writes once a turn. Loop-owned.
final class Mux: Handler {
    private enum State {
        case handshaking
        case open
        /// GOAWAY is staged or sent; what comes is discarded until the peer closes.
        case closing(SessionEnd)
        case dead
    }

    let loop: Loop
    let leg: Leg
    let role: TunnelRole
    private weak var delegate: (any MuxDelegate)?
    private var state = State.handshaking
    private let output: OutputStage
    private var parser: FrameParser
    private var streams: [UInt32: Stream] = [:]
    private var blocked: [Stream] = []
    private var isCongested = false
    private var isWorking = false
    private var isUnblocking = false
    private var lastStream: UInt32 = 0
    private var parts: [Range<Int>] = []
    private var partsStream: UInt32 = 0
    private var liveness: Liveness
    private var ticker: Timer?
    private var deadline: Timer?
    private var grownTotal = 0
    private var roundTripTime: MonotonicNanoseconds = 0
    private var roundTripValue: UInt64 = 0
    private var goneAway: SessionEnd?
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
    var allStreams: [Stream] { Array(streams.values) }

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
        ticker = loop.after(.milliseconds(500)) { [weak self] in
            guard let self, case .open = self.state else { return }
            switch self.liveness.tick(self.loop.now) {
            case .nothing: break
            case .ping: self.stage(number: self.loop.now, .ping)
            case .dead: return self.end(.lost("nothing heard for 5 s"))
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

    // MARK: Receiving

    private func receive() {
        var budget = Loop.turnBudget
        while case .open = state, leg.hasInput {
            guard budget > 0 else { return loop.again(self) }
            let outcome = leg.readFrames { consume($0) }
            switch outcome {
            case .bytes(let count):
                liveness.hear(loop.now)
                budget -= count
            case .again: return
            case .end: return end(goneAway ?? .lost("the peer closed the connection"))
            case .failed: return end(goneAway ?? .lost("the connection broke"))
            }
        }
    }

    private func consume(_ bytes: Span<UInt8>) {
        var offset = 0
        while true {
            let event = parser.next(bytes, at: &offset)
            if case .data(let id, let range) = event {
                if id != partsStream || parts.count == 64 { deliverParts(bytes) }
                guard let stream = streams[id] else {
                    if id > lastStream || id & 1 == 0 {
                        return violate(.protocolViolation, "data on a stream never opened")
                    }
                    continue
                }
                guard stream.admits(range.count) else {
                    if stream.peerFinished { return violate(.protocolViolation, "data after the end of a stream") }
                    return violate(.flow, "data beyond the window of a stream")
                }
                partsStream = id
                parts.append(range)
                continue
            }
            deliverParts(bytes)
            guard case .open = state else { return }
            switch event {
            case .data: break
            case .needMore: return
            case .finish(let id):
                guard let stream = known(id) else { continue }
                guard !stream.peerFinished else { return violate(.protocolViolation, "a stream ended twice") }
                stream.receiveFinish()
            case .reset(let id, let code):
                known(id)?.receiveReset(ResetCode(wire: code))
            case .window(let id, let count):
                guard let stream = known(id) else { continue }
                guard stream.credit(count) else { return violate(.flow, "a window beyond its limit") }
            case .ping(let number): stage(number: number, .pong)
            case .pong: break
            case .control(let type, let id, let payload): control(type, id, payload)
            case .violation(let rule): return violate(.protocolViolation, rule)
            }
            guard case .open = state else { return }
        }
    }

    /// Hands the gathered parts of one stream to it: consecutive frames of a stream leave in one write.
    private func deliverParts(_ bytes: Span<UInt8>) {
        guard !parts.isEmpty else { return }
        streams[partsStream]?.deliver(bytes, parts: parts)
        parts.removeAll(keepingCapacity: true)
        partsStream = 0
    }

    /// The stream of a frame; nil for one that ended already. A stream never opened is a violation.
    private func known(_ id: UInt32) -> Stream? {
        if let stream = streams[id] { return stream }
        if id > lastStream || id & 1 == 0 { violate(.protocolViolation, "a frame on a stream never opened") }
        return nil
    }

    private func control(_ type: FrameType, _ id: UInt32, _ payload: [UInt8]) {
        switch type {
        case .open:
            guard id & 1 == 1, id > lastStream else { return violate(.protocolViolation, "stream ids must ascend") }
            lastStream = id
            delegate?.mux(self, isAsked: id, payload: payload)
        case .goAway:
            guard let message = GoAway(payload) else { return violate(.protocolViolation, "GOAWAY is malformed") }
            goneAway = .goneAway(message.code, message: message.message)
            delegate?.mux(self, received: type, payload: payload)
        case .datagram:
            // Not offered in this version: the stream is refused, the session goes on.
            guard let stream = known(id) else { return }
            let owner = stream.owner
            stream.reset(.refused)
            owner?.receiveReset(.refused)
        default:
            delegate?.mux(self, received: type, payload: payload)
        }
    }

    // MARK: Streams

    /// True when nearly all stream ids were used: the session should give way to a new one.
    var isExhausted: Bool { lastStream >= 0xffff_ff00 }

    /// Opens a stream (gateway side); nil when the session takes no more.
    func open(payload: [UInt8], contractIndex: Int32, owner: any StreamOwner) -> Stream? {
        guard case .open = state, role == .gateway, lastStream < 0xffff_fff0, payload.count <= Frame.longestControl
        else {
            return nil
        }
        let id = lastStream == 0 ? 1 : lastStream + 2
        lastStream = id
        let stream = Stream(id: id, contractIndex: contractIndex, window: initialWindow, mux: self)
        stream.owner = owner
        streams[id] = stream
        stage(.open, stream: id, payload.span)
        return stream
    }

    /// Makes the stream of an OPEN (agent side).
    func accept(_ id: UInt32, contractIndex: Int32) -> Stream {
        let stream = Stream(id: id, contractIndex: contractIndex, window: initialWindow, mux: self)
        streams[id] = stream
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

    /// Round-trip time of the connection in nanoseconds, asked of the kernel at most ten times a second.
    var roundTrip: UInt64 {
        if loop.now &- roundTripTime > 100_000_000 {
            roundTripTime = loop.now
            roundTripValue = UInt64(leg.roundTripMicroseconds) * 1000
        }
        return roundTripValue
    }

    // MARK: Sending

    /// Payload bytes that may be staged now; 0 when the connection is congested.
    func roomForData() -> Int {
        guard !isCongested else { return 0 }
        if output.room < 2048 {
            push()
            guard !isCongested else { return 0 }
        }
        return output.room - Frame.headerLength * 20
    }

    func stage(_ type: FrameType, stream: UInt32, _ payload: Span<UInt8>) {
        guard isOpen else { return }
        output.append(header: Frame.header(type, stream: stream, length: payload.count))
        output.append(payload)
        staged()
    }

    func stage(_ type: FrameType, stream: UInt32) {
        guard isOpen else { return }
        output.append(header: Frame.header(type, stream: stream, length: 0))
        staged()
    }

    func stage(session type: FrameType, _ payload: [UInt8]) {
        stage(type, stream: 0, payload.span)
    }

    func stageReset(stream: UInt32, _ code: ResetCode) {
        let bytes: InlineArray<2, UInt8> = [UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
        stage(.reset, stream: stream, bytes.span)
    }

    func stageWindow(stream: UInt32, _ count: UInt32) {
        let bytes: InlineArray<4, UInt8> = [
            UInt8(truncatingIfNeeded: count >> 24), UInt8(truncatingIfNeeded: count >> 16),
            UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count),
        ]
        stage(.window, stream: stream, bytes.span)
    }

    private func stage(number: UInt64, _ type: FrameType) {
        guard isOpen else { return }
        output.append(header: Frame.header(type, stream: 0, length: 8))
        output.append(header: number)
        staged()
    }

    func fill(from leg: Leg, stream: UInt32, limit: Int) -> Leg.Outcome {
        guard isOpen else { return .failed }
        let outcome = output.fill(from: leg, limit: limit, frame: Frame.longestData) {
            Frame.header(.data, stream: stream, length: $0)
        }
        if case .bytes = outcome { staged() }
        return outcome
    }

    private func staged() {
        if output.didOverflow { return end(.lost("the peer does not read")) }
        loop.later(self)
    }

    /// Encrypts and writes what is staged.
    private func push() {
        switch state {
        case .open, .closing: break
        default: return
        }
        guard leg.flush(), output.push(to: leg) else { return end(goneAway ?? .lost("the connection broke")) }
        isCongested = output.count > 0 || leg.hasOutput
        if case .closing = state, !isCongested { leg.shutdownWrite() }
    }

    /// Puts a stream in the queue of those that wait to send.
    func block(_ stream: Stream) {
        guard !stream.isBlocked else { return }
        stream.isBlocked = true
        blocked.append(stream)
        if !isCongested, !isWorking || isUnblocking { loop.again(self) }
    }

    private func unblock() {
        guard !blocked.isEmpty, !isCongested else { return }
        let waiting = blocked
        blocked = []
        isUnblocking = true
        defer { isUnblocking = false }
        for (index, stream) in waiting.enumerated() {
            if isCongested {
                // First come, first served: the rest goes before those that blocked just now.
                blocked.insert(contentsOf: waiting[index...], at: 0)
                return
            }
            stream.isBlocked = false
            stream.unblocked()
            guard case .open = state else { return }
        }
    }

    // MARK: Ending

    private func violate(_ code: GoAwayCode, _ rule: String) {
        close(.violated(code, message: rule), GoAway(code: code, drain: 0, message: rule))
    }

    /// Says GOAWAY and closes after it went out; the streams are reset now.
    func close(_ end: SessionEnd, _ message: GoAway) {
        guard isOpen else { return self.end(end) }
        stage(session: .goAway, message.payload)
        guard isOpen else { return }
        resetStreams()
        guard isOpen else { return }
        state = .closing(end)
        setDeadline(.seconds(1), "closed")
        loop.later(self)
    }

    private func drainClosing() {
        guard case .closing(let end) = state else { return }
        push()
        guard case .closing = state else { return }
        var budget = Loop.turnBudget
        while leg.hasInput {
            switch leg.readFrames({ _ in }) {
            case .bytes(let count):
                budget -= count
                if budget <= 0 { return loop.again(self) }
            case .again: return
            case .end, .failed: return self.end(end)
            }
        }
    }

    private func resetStreams() {
        let ended = streams
        for stream in ended.values { stream.receiveReset(.internalError) }
        blocked = []
    }

    /// Ends the session at once.
    func end(_ reason: SessionEnd) {
        if isDead { return }
        var final = reason
        if case .closing(let end) = state { final = end }
        state = .dead
        clearDeadline()
        ticker?.cancel()
        leg.close()
        resetStreams()
        loop.remove(self)
        let delegate = delegate
        self.delegate = nil
        delegate?.muxEnded(self, final)
    }
}
