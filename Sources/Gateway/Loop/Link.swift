/// Two sockets and the flows between them. Half-close is preserved both ways; an abort of one side aborts the other. Loop-owned.
///
/// Either socket may come first and wait for the other: a visitor for a connection of the agent, or a connection that was made
/// ahead for a visitor. Bytes from the near socket count as sent in the contract's flow, and those from the far one as received;
/// both directions keep to the contract's rate.
final class Link: Handler, RateMember {
    /// Why a link ended by itself.
    enum End: Equatable {
        /// Both directions ended in order.
        case finished
        case nearBroke
        case farBroke
        /// The near socket never stood. The far one is left open for a while, so that its peer can learn of it in another way.
        case dialFailed
        /// The other socket did not come in time.
        case aloneTooLong
        /// Too many bytes are stuck.
        case overBudget
        /// Silence.
        case idle
        /// The loop stops.
        case stopped
    }

    private let loop: Loop
    private var near: Leg?
    private var far: Leg?
    private var out = Flow()
    private var back = Flow()
    private var contract: ContractFlow?
    private var onEnd: ((End) -> Void)?
    /// Goes to the far socket before anything of the near one.
    private var ahead: [UInt8] = []
    /// Seconds of the monotonic clock at the last byte, or at the last change of what is awaited.
    private var since: UInt32
    private var idleLimit: UInt32 = 0
    private var isInLineToSend = false
    private var isInLineToReceive = false
    /// The far socket's peer may send before the near socket is there.
    private let farMayBegin: Bool
    /// The near socket failed, and the far one is about to be closed by its peer.
    private var isLeaving = false
    private(set) var isClosed = false

    /// Seconds for which a socket waits for the other one, or for its own connection to stand.
    static let waitSeconds: UInt32 = 5
    private static let dialSeconds: UInt32 = 10

    /// A link without sockets.
    ///
    /// - Parameter farMayBegin: whether bytes of the far socket are borne while the near one is missing; else they end the link.
    init(loop: Loop, farMayBegin: Bool = false) {
        self.loop = loop
        self.farMayBegin = farMayBegin
        since = UInt32(truncatingIfNeeded: loop.now / 1_000_000_000)
    }

    /// Says what the link is for; it may have waited without a purpose.
    ///
    /// - Parameters:
    ///   - ahead: goes to the far socket first, and is counted as sent.
    ///   - idleLimit: silence after which it ends, in seconds; 0 for no limit.
    ///   - onEnd: called once when it ends by itself, not by `close`.
    func begin(
        _ contract: ContractFlow?,
        ahead: [UInt8] = [],
        idleLimit: UInt32 = 0,
        onEnd: @escaping (End) -> Void
    ) {
        self.contract = contract
        self.ahead += ahead
        if !ahead.isEmpty { contract?.didSend(ahead.count) }
        self.idleLimit = idleLimit
        self.onEnd = onEnd
        touch()
    }

    /// Takes the near socket and registers it.
    func join(near leg: Leg) throws(SocketError) {
        guard !isClosed else { return leg.abort() }
        near = leg
        touch()
        try leg.register(self)
    }

    /// Takes the far socket and registers it. `preamble` is written first and counted nowhere.
    func join(far leg: Leg, preamble: [UInt8] = []) throws(SocketError) {
        guard !isClosed else { return leg.abort() }
        far = leg
        ahead = preamble + ahead
        touch()
        try leg.register(self, second: true)
    }

    /// The near socket's direction ended, and the far one was told after the last byte.
    var hasSentAll: Bool { out.isFinished }

    /// The far socket's direction ended; bytes before the end may wait in the kernel.
    var hasHeardEnd: Bool { far?.hasEnd == true }

    /// From now on silence of so many seconds ends the link.
    func limitSilence(_ seconds: UInt32) {
        idleLimit = seconds
        touch()
    }

    /// Both sockets are there.
    var isJoined: Bool { near != nil && far != nil }

    // MARK: Events

    override func ready(_ events: Events) {
        guard let near, !isClosed else { return }
        let wasConnecting = near.isConnecting
        guard near.note(events) else { return wasConnecting ? leave() : end(.nearBroke) }
        pump()
        // Reset by its peer: what could be read was read.
        if events.contains(.failed), !isClosed { end(.nearBroke) }
    }

    override func readySecond(_ events: Events) {
        guard let far, !isClosed else { return }
        let stands = far.note(events)
        // What its peer sends before it learns of it is for nobody, and no reason to end what it is to learn of first.
        if isLeaving, stands, events.isDisjoint(with: [.hungUp, .failed]) { return }
        guard stands, !isLeaving else { return end(.farBroke) }
        pump()
        guard !isClosed else { return }
        if events.contains(.failed) || near == nil && isBad(far, events) { return end(.farBroke) }
        if near == nil { touch() }
    }

    /// Whether a lone far socket ended, or says what it may not say yet.
    private func isBad(_ far: Leg, _ events: Events) -> Bool {
        guard !events.isDisjoint(with: [.readable, .peerFinished, .hungUp]) else { return false }
        switch far.peek() {
        case .byte: return !farMayBegin
        case .nothing: return false
        case .end, .failed: return true
        }
    }

    override func again() { pump() }
    override func loopStops() { end(.stopped) }

    override func sweep(_ now: MonotonicNanoseconds) {
        let silent = UInt32(truncatingIfNeeded: now / 1_000_000_000) &- since
        if isLeaving {
            if silent >= Self.waitSeconds { finish(abort: true) }
        } else if near?.isConnecting == true {
            if silent > Self.dialSeconds { leave() }
        } else if far?.isConnecting == true {
            if silent >= Self.waitSeconds { end(.farBroke) }
        } else if near != nil, far == nil {
            if silent >= Self.waitSeconds { end(.aloneTooLong) }
        } else if near == nil, far?.canRead == true, case .byte? = far?.peek() {
            // What announces the visitor did not come.
            if silent >= Self.waitSeconds { end(.aloneTooLong) }
        } else if idleLimit > 0, silent > idleLimit || near?.isDeserted(silentSeconds: silent) == true {
            end(.idle)
        }
    }

    private func touch() { since = UInt32(truncatingIfNeeded: loop.now / 1_000_000_000) }

    // MARK: Bytes

    private func pump() {
        guard !isClosed, let far, !far.isConnecting, sendAhead(to: far), let near, !near.isConnecting else { return }
        let there = move(.sending, near, far)
        let back = move(.receiving, far, near)
        switch (there, back) {
        case (.sourceBroke, _), (_, .targetBroke): end(.nearBroke)
        case (.targetBroke, _), (_, .sourceBroke): end(.farBroke)
        case (.overBudget, _), (_, .overBudget): end(.overBudget)
        case (.finished, .finished): end(.finished)
        case (.again, _), (_, .again): loop.again(self)
        default: break
        }
    }

    /// True when nothing is left that goes before the near socket's bytes.
    private func sendAhead(to far: Leg) -> Bool {
        guard !ahead.isEmpty else { return true }
        let count = far.write(ahead.span)
        guard count >= 0 else {
            end(.farBroke)
            return false
        }
        ahead.removeFirst(count)
        return ahead.isEmpty
    }

    private func move(_ direction: FlowDirection, _ source: Leg, _ target: Leg) -> Flow.Pump {
        let isSending = direction == .sending
        let pacer = isSending ? contract?.sending : contract?.receiving
        var limit = Int.max
        if let pacer, source.hasInput, !(isSending ? out : back).hasEnded { limit = pacer.allowance(for: self) }
        let result: Flow.Pump
        if isSending {
            result = out.pump(from: source, to: target, limit: limit)
            count(out.takeMoved()) { contract, bytes in contract.didSend(bytes) }
        } else {
            result = back.pump(from: source, to: target, limit: limit)
            count(back.takeMoved()) { contract, bytes in
                contract.didReceive(bytes)
                contract.receiving?.charge(bytes)
            }
        }
        if case .limited = result { pacer?.wait(self) }
        return result
    }

    @inline(__always)
    private func count(_ bytes: Int, _ count: (ContractFlow, Int) -> Void) {
        guard bytes > 0 else { return }
        touch()
        if let contract { count(contract, bytes) }
    }

    // MARK: The contract's rate

    func isInLine(_ direction: FlowDirection) -> Bool {
        direction == .sending ? isInLineToSend : isInLineToReceive
    }

    func setInLine(_ direction: FlowDirection, _ value: Bool) {
        if direction == .sending { isInLineToSend = value } else { isInLineToReceive = value }
    }

    func mayMove(_ direction: FlowDirection) { pump() }

    // MARK: Ending

    /// Closes both sockets without a word to `onEnd`: in order, or by RST.
    func close(abort: Bool) {
        onEnd = nil
        finish(abort: abort)
    }

    /// The near socket will not come, or never stood. Whoever made the link is told; the far socket's peer has a moment to close it.
    func leave() {
        guard !isClosed, !isLeaving else { return }
        guard far != nil else { return end(.dialFailed) }
        near?.abort()
        near = nil
        isLeaving = true
        touch()
        tell(.dialFailed)
    }

    private func end(_ end: End) {
        guard !isClosed else { return }
        finish(abort: end != .finished && end != .stopped)
        tell(end)
    }

    private func tell(_ end: End) {
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?(end)
    }

    private func finish(abort: Bool) {
        guard !isClosed else { return }
        isClosed = true
        out.close(loop)
        back.close(loop)
        for leg in [near, far] { abort ? leg?.abort() : leg?.close() }
        near = nil
        far = nil
        ahead = []
        loop.remove(self)
    }
}
