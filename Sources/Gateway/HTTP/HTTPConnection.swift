internal import Contracts

/// A visitor's HTTP/1.1 connection: one request at a time, each permitted anew, on a stream that is kept while requests are for
/// the same exposure. Loop-owned.
///
/// Nothing is read that has nowhere to go: a request body only as fast as the stream takes it, the next request only after the answer.
final class HTTPConnection: Handler, StreamOwner, TicketHolder {
    enum Phase {
        /// Waits for a request head, or for the rest of one.
        case head
        /// A request is with the workload.
        case exchange
        /// The protocol was changed: bytes both ways.
        case raw
        /// The last answer is out; what the visitor still sends is thrown away so that the answer is not lost to a reset.
        case linger
        case closed
    }

    let leg: Leg
    let front: Front
    let visitor: Visitor
    var phase = Phase.head
    /// Bytes of the visitor that were read and not used yet.
    var carry: [UInt8] = []
    /// Bytes of the workload that were taken and not used yet: an incomplete head or trailer section.
    var answerCarry: [UInt8] = []
    /// A head that the stream did not take whole.
    var stuckUp: StuckBytes?
    /// Bytes that the visitor did not take.
    var stuckDown: StuckBytes?
    /// The stream took less than it was given; it will call.
    var isBlockedUp = false
    /// The visitor's direction ends once `stuckDown` is out.
    var shutsWhenFlushed = false
    var stream: Stream?
    var ticket: FlowTicket?
    var exchange = Exchange()
    /// Second of the monotonic clock at the last progress.
    var activeSince: UInt32
    /// Second of the monotonic clock at the end of the last answer.
    var answeredSince: UInt32
    /// Second at which the head that is being read began to arrive; a new connection counts as a beginning.
    var headSince: UInt32?
    private var discarded = 0
    /// How fast the visitor sends a body and takes an answer.
    var pace = VisitorPace()
    var legEnded = false
    var streamEnded = false

    init(leg: Leg, visitor: Visitor, front: Front, carry: [UInt8] = []) throws(SocketError) {
        self.leg = leg
        self.front = front
        self.visitor = visitor
        activeSince = Self.second(front.loop.now)
        answeredSince = activeSince
        headSince = activeSince
        super.init()
        try leg.register(self)
        if !carry.isEmpty {
            self.carry = carry
            front.loop.again(self)
        }
    }

    var isIdle: Bool { phase != .exchange && phase != .raw }

    static func second(_ now: MonotonicNanoseconds) -> UInt32 { UInt32(truncatingIfNeeded: now / 1_000_000_000) }

    func touch() { activeSince = Self.second(front.loop.now) }

    // MARK: The visitor's socket

    override func ready(_ events: Events) {
        guard phase != .closed else { return }
        guard leg.note(events), !events.contains(.failed) else { return abort() }
        // A visitor who is only expected to read does not put the deadline off by sending.
        if phase == .exchange || phase == .raw || (phase == .head && stuckDown == nil) { touch() }
        flushDown()
        pump()
    }

    override func again() {
        if !carry.isEmpty, phase == .head ? stuckDown == nil : phase == .raw && !isBlockedUp { processCarry() }
        pump()
    }

    override func loopStops() { end(abort: false) }

    /// Reads as much as there is a place for.
    func pump() {
        var budget = Loop.turnBudget
        while leg.isOpen, leg.hasInput {
            guard budget > 0 else { return front.loop.again(self) }
            let outcome: Leg.Outcome
            switch phase {
            case .head:
                guard stuckDown == nil else { return }
                if carry.isEmpty, headSince == nil { headSince = Self.second(front.loop.now) }
                outcome = leg.read(limit: front.limits.headerSize) { accept($0) }
            case .exchange:
                guard !isBlockedUp, !exchange.request.hasEnded else { return }
                if let remaining = exchange.request.remainingLength, carry.isEmpty, let stream {
                    guard let moved = fill(stream, limit: remaining) else { return }
                    exchange.request.moved(moved)
                    pace.sent(moved)
                    budget -= moved
                    continue
                }
                outcome = leg.read(limit: 16 << 10) { accept($0) }
            case .raw:
                // What was read before the change of protocol goes first.
                if !isBlockedUp, !carry.isEmpty { processCarry() }
                guard !isBlockedUp, carry.isEmpty, !legEnded, phase == .raw, let stream else { return }
                guard let moved = fill(stream, limit: Loop.scratchSize) else { return }
                budget -= moved
                continue
            case .linger:
                outcome = leg.read(limit: 64 << 10) { discarded += $0.count }
                if discarded > 1 << 20 { return end(abort: true) }
            case .closed: return
            }
            switch outcome {
            case .bytes(let count): budget -= count
            case .again: continue
            case .end: return visitorEnded()
            case .failed: return abort()
            }
        }
    }

    /// Moves bytes from the socket into the stream without a copy; nil when there is nothing to go on with.
    private func fill(_ stream: Stream, limit: Int) -> Int? {
        switch stream.fill(from: leg, limit: limit) {
        case .bytes(let count):
            return count
        case .again: return 0
        case .blocked:
            isBlockedUp = true
            return nil
        case .end:
            visitorEnded()
            return nil
        case .failed:
            abort()
            return nil
        }
    }

    /// The visitor sends no more.
    private func visitorEnded() {
        switch phase {
        case .raw:
            legEnded = true
            stream?.finish()
            if streamEnded, stuckDown == nil { end(abort: false) }
        case .exchange:
            // In the middle of a request body; a half-closed visitor whose request is complete is not read from.
            abort()
        case .head, .linger, .closed: end(abort: false)
        }
    }

    // MARK: Bytes of the visitor

    private func accept(_ bytes: Span<UInt8>) {
        guard !carry.isEmpty else { return process(bytes) }
        var hasLine = phase != .head
        for index in bytes.indices where bytes[index] == 0x0A { hasLine = true }
        carry.append(copying: bytes)
        // A head is read again only when another of its lines is whole, so that one byte at a time costs no more.
        if hasLine || carry.count >= front.limits.headerSize { processCarry() }
    }

    func processCarry() {
        let bytes = carry
        carry = []
        process(bytes.span)
    }

    private func process(_ bytes: Span<UInt8>) {
        var offset = 0
        while offset < bytes.count {
            switch phase {
            case .head:
                guard stuckDown == nil else { return keep(bytes, offset) }
                let rest = bytes.extracting(offset..<bytes.count)
                switch front.requests.parse(rest) {
                case .incomplete:
                    if headSince == nil { headSince = Self.second(front.loop.now) }
                    return keep(bytes, offset)
                case .failed(let failure):
                    exchange = Exchange()
                    front.count(.malformed, nil)
                    return refuse(Failure(failure))
                case .complete(let head):
                    headSince = nil
                    if let place = begin(head, rest) { return hand(over: rest, to: place) }
                    offset += head.length
                }
            case .exchange:
                guard !exchange.request.hasEnded else { return keep(bytes, offset) }
                let next = forwardBody(bytes, from: offset)
                if next == offset { return keep(bytes, offset) }
                offset = next
            case .raw:
                guard let stream else { return }
                let sent = stream.send(bytes.extracting(offset..<bytes.count))
                offset += sent
                if offset < bytes.count {
                    isBlockedUp = true
                    return keep(bytes, offset)
                }
            case .linger, .closed: return
            }
        }
    }

    private func keep(_ bytes: Span<UInt8>, _ offset: Int) {
        guard phase != .closed, phase != .linger else { return }
        carry = [UInt8](copying: bytes.extracting(offset..<bytes.count))
    }

    /// Forwards what can be forwarded of a request body; returns the place after it.
    private func forwardBody(_ bytes: Span<UInt8>, from start: Int) -> Int {
        guard stuckUp == nil, let stream else {
            isBlockedUp = stream != nil
            return start
        }
        let before = exchange.request
        switch exchange.request.next(bytes, from: start) {
        case .pass(let end):
            let sent = stream.send(bytes.extracting(start..<end))
            pace.sent(sent)
            guard phase == .exchange, self.stream === stream, start + sent < end else { return end }
            isBlockedUp = true
            exchange.request = before
            if sent > 0 { _ = exchange.request.next(bytes.extracting(0..<start + sent), from: start) }
            return start + sent
        case .drop(let end): return end
        case .trailers:
            var output = front.takeOutput()
            defer { front.give(output) }
            switch Trailers.forward(bytes, from: start, isRequest: true, to: &output) {
            case .incomplete: return start
            case .failed:
                badRequestBody()
                return start
            case .end(let end):
                exchange.request.endTrailers()
                send(output.span)
                if self.stream === stream, stream.holdsBytes { stream.resumeReceiving() }
                return end
            }
        case .end: return start
        case .failed:
            badRequestBody()
            return start
        }
    }

    /// Sends bytes that were built here; what the stream does not take is kept.
    func send(_ bytes: Span<UInt8>) {
        guard let stream else { return }
        let sent = stream.send(bytes)
        // The tunnel may break in the middle of this call; then the request is on another stream, or refused, already.
        guard sent < bytes.count, phase == .exchange, self.stream === stream else { return }
        isBlockedUp = true
        stuckUp = StuckBytes(bytes.extracting(sent..<bytes.count), loop: front.loop)
        if stuckUp == nil { abort() }
    }

    private func badRequestBody() {
        front.count(.malformed, ticket?.route.contract)
        dropStream(.cancelled)
        if exchange.hasAnswered { abort() } else { refuse(.malformed) }
    }

    func streamCanSend() {
        isBlockedUp = false
        if let kept = stuckUp {
            guard let stream else { return }
            guard kept.offer({ stream.send($0) }) else {
                isBlockedUp = true
                return
            }
            stuckUp = nil
        }
        if !carry.isEmpty, phase == .exchange || phase == .raw { processCarry() }
        pump()
    }

    // MARK: Deadlines

    override func sweep(_ now: MonotonicNanoseconds) {
        let second = Self.second(now)
        let limits = front.limits
        if isTooSlow() { return }
        switch phase {
        case .head:
            if let headSince, second &- headSince >= limits.headerSeconds {
                front.count(.malformed, nil)
                exchange = Exchange()
                refuse(.timeout)
            } else if stuckDown != nil {
                if second &- activeSince >= limits.idleSeconds { abort() }
            } else if headSince == nil, second &- activeSince >= limits.idleSeconds || front.isDraining {
                end(abort: false)
            }
        case .exchange:
            guard second &- activeSince >= limits.idleSeconds else { return }
            front.count(.silentWorkload, ticket?.route.contract)
            dropStream(.timeout)
            if exchange.hasAnswered || stuckDown != nil {
                abort()
            } else {
                refuse(exchange.request.hasEnded ? .silent : .timeout)
            }
        case .raw:
            let silent = second &- activeSince
            if silent >= limits.rawIdleSeconds || leg.isDeserted(silentSeconds: silent) { abort(.timeout) }
        case .linger:
            // In order, since a reset would take from a slow reader what the kernel still has.
            let limit = stuckDown == nil ? limits.lingerSeconds : limits.idleSeconds
            if second &- activeSince >= limit { end(abort: stuckDown != nil) }
        case .closed: break
        }
    }

    /// Ends an exchange whose visitor sends or takes too little for too long; true then.
    private func isTooSlow() -> Bool {
        guard phase == .exchange || phase == .head || (phase == .linger && stuckDown != nil) else { return false }
        let isSending = phase == .exchange && !exchange.request.hasEnded && !exchange.hasAnswered && !isBlockedUp
        switch pace.second(isSending: isSending, isStuck: !leg.canWrite, front.limits) {
        case .fine: return false
        case .slowWriter:
            front.count(.slow, ticket?.route.contract)
            dropStream(.timeout)
            refuse(.timeout)
        case .slowReader:
            front.count(.slow, ticket?.route.contract)
            abort(.timeout)
        }
        return true
    }

    // MARK: Ending

    /// Lets go of the stream; the visitor's connection stays.
    func dropStream(_ code: ResetCode) {
        ticket?.end()
        ticket = nil
        let stream = stream
        self.stream = nil
        stuckUp = nil
        isBlockedUp = false
        answerCarry = []
        stream?.owner = nil
        stream?.reset(code)
    }

    func abort(_ code: ResetCode = .cancelled) {
        dropStream(code)
        end(abort: true)
    }

    func end(abort: Bool) {
        guard phase != .closed else { return }
        phase = .closed
        dropStream(.cancelled)
        carry = []
        stuckDown = nil
        if abort { leg.abort() } else { leg.close() }
        front.loop.remove(self)
        front.visitorLeft()
    }

    func cut() {
        let wasRaw = phase == .raw
        let hadAnswered = exchange.hasAnswered || stuckDown != nil
        dropStream(.contractEnded)
        switch phase {
        case .exchange where !hadAnswered: refuse(.notFound)
        case .exchange: end(abort: true)
        default: if wasRaw { end(abort: true) }
        }
    }

    /// Moves the connection to the loop that has the agent's session.
    private func hand(over bytes: Span<UInt8>, to place: Elsewhere) {
        let rest = [UInt8](copying: bytes)
        dropStream(.cancelled)
        phase = .closed
        carry = []
        front.hand(over: leg, visitor, rest, to: place)
        front.loop.remove(self)
    }
}
