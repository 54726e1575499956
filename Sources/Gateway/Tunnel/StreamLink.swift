/// Whom a link tells that it ended. Every call is on the loop's thread.
protocol StreamLinkOwner: AnyObject {
    /// Called once. The code is that of an abnormal end; nil when both directions ended in order.
    func linkEnded(_ link: StreamLink, _ code: ResetCode?)
}

/// A visitor's (or a workload's) socket joined to a stream: raw bytes both ways, half-close and abort preserved.
final class StreamLink: Handler, StreamOwner {
    private let leg: Leg
    private(set) var stream: Stream?
    /// Released at the end.
    private var owner: (any StreamLinkOwner)?
    /// Seconds of the monotonic clock at the last byte.
    private var lastActive: UInt32
    /// Silence after which the link ends, in seconds; 0 for no limit.
    private let idleLimit: UInt32
    /// What the peer is told when this side's socket breaks.
    private let abortCode: ResetCode
    private var ahead: [UInt8] = []
    private var legEnded = false
    private var streamEnded = false
    /// The last read filled a whole frame: more comes at a time than one frame holds.
    private var isBulk = false

    /// Registers the leg. The caller sets `attach(_:)` next, in the same turn.
    init(
        leg: Leg,
        abortCode: ResetCode,
        idleLimit: Duration = .zero,
        owner: (any StreamLinkOwner)? = nil
    ) throws(SocketError) {
        self.leg = leg
        self.abortCode = abortCode
        self.idleLimit = UInt32(clamping: idleLimit.components.seconds)
        self.owner = owner
        lastActive = UInt32(truncatingIfNeeded: leg.loop.now / 1_000_000_000)
        super.init()
        try leg.register(self)
    }

    /// Joins the stream whose owner this is; what was read of the socket before goes first.
    func attach(_ stream: Stream, readAhead: [UInt8] = []) {
        self.stream = stream
        ahead = readAhead
        if !readAhead.isEmpty { pumpUp() }
    }

    var isOpen: Bool { leg.isOpen }

    // MARK: The socket

    override func ready(_ events: Events) {
        guard leg.note(events) else { return breakOff() }
        touch()
        if streamEnded, !leg.isConnecting { leg.shutdownWrite() }
        pumpUp()
        if leg.canWrite, let stream, stream.holdsBytes { stream.resumeReceiving() }
        // Reset by its peer: what could be read was read.
        if events.contains(.failed), leg.isOpen { breakOff() }
    }

    override func again() { pumpUp() }
    override func loopStops() { end(.cancelled, abort: false) }

    /// Seconds a local connection may take to stand.
    private static let dialTime: UInt32 = 10
    /// Seconds without a byte taken, after which what is left of a stream that ended in order is given up.
    static let leavingTime: UInt32 = 300

    override func sweep(_ now: MonotonicNanoseconds) {
        let seconds = UInt32(truncatingIfNeeded: now / 1_000_000_000)
        if leg.isConnecting, seconds &- lastActive > Self.dialTime { return breakOff() }
        let silent = seconds &- lastActive
        if let stream, stream.hasEnded, silent > Self.leavingTime {
            stream.retire()
            return end(.timeout, abort: true)
        }
        guard idleLimit > 0 else { return }
        if silent > idleLimit || leg.isDeserted(silentSeconds: silent) {
            stream?.reset(.timeout)
            end(.timeout, abort: true)
        }
    }

    private func touch() {
        lastActive = UInt32(truncatingIfNeeded: leg.loop.now / 1_000_000_000)
    }

    private func pumpUp() {
        guard !legEnded, let stream else { return }
        if !ahead.isEmpty {
            let sent = stream.send(ahead.span)
            ahead.removeFirst(min(sent, ahead.count))
            guard ahead.isEmpty else { return }
        }
        var budget = Loop.turnBudget
        while leg.hasInput {
            guard budget > 0 else { return leg.loop.again(self) }
            // One frame is read in the cheapest way there is; only who fills it is worth a list of frames.
            switch stream.fill(from: leg, limit: isBulk ? Loop.scratchSize : Frame.longestData) {
            case .bytes(let count):
                budget -= count
                isBulk = count >= Frame.longestData
            case .again: continue
            case .blocked: return
            case .failed: return breakOff()
            case .end:
                legEnded = true
                stream.finish()
                return endIfDone()
            }
        }
    }

    /// The socket broke: the other end of the tunnel learns it.
    private func breakOff() {
        let code = leg.isConnecting ? .dialFailed : abortCode
        stream?.reset(code)
        end(code, abort: true)
    }

    // MARK: The stream

    func receive(_ bytes: Span<UInt8>) -> Int {
        took(leg.write(bytes), of: bytes.count)
    }

    func receive(_ bytes: Span<UInt8>, parts: [Range<Int>]) -> Int {
        took(leg.write(bytes, parts: parts), of: parts.reduce(0) { $0 + $1.count })
    }

    private func took(_ count: Int, of total: Int) -> Int {
        guard count >= 0 else {
            breakOff()
            return total
        }
        if count > 0 { touch() }
        return count
    }

    func receiveFinish() {
        streamEnded = true
        // To close says it too. To shut down a socket that still connects would give the connection up; its first event comes when
        // it stands.
        if !legEnded, !leg.isConnecting { leg.shutdownWrite() }
        endIfDone()
    }

    func receiveReset(_ code: ResetCode) {
        stream = nil
        end(code, abort: true)
    }

    func streamCanSend() { pumpUp() }

    // MARK: Ending

    private func endIfDone() {
        if legEnded, streamEnded { end(nil, abort: false) }
    }

    private func end(_ code: ResetCode?, abort: Bool) {
        guard leg.isOpen else { return }
        stream = nil
        if abort { leg.abort() } else { leg.close() }
        leg.loop.remove(self)
        let owner = owner
        self.owner = nil
        owner?.linkEnded(self, code)
    }
}
