/// The local side of a stream. Every call is on the loop's thread.
protocol StreamOwner: AnyObject {
    /// Bytes came; returns how many were taken. The stream keeps the rest until `resumeReceiving`.
    func receive(_ bytes: Span<UInt8>) -> Int

    /// As `receive`, for payload that lies in several parts of one read.
    func receive(_ bytes: Span<UInt8>, parts: [Range<Int>]) -> Int

    /// The peer's direction ended, after every byte of it was taken.
    func receiveFinish()

    /// Both directions ended at once. The stream is gone.
    func receiveReset(_ code: ResetCode)

    /// A send that took less than it was given may be tried again.
    func streamCanSend()

    /// A datagram came; false when the stream is none of datagrams, and is refused.
    func receive(datagram: [UInt8]) -> Bool

    /// What carries the stream takes no new ones: a stream that is only kept for later should end.
    func carrierLeaves()

    /// What carries the stream is over. True when the stream's bytes go another way, and what is left of them comes to its end without it:
    /// the owner is left alone then, and is reset otherwise.
    func outlivesCarrier() -> Bool
}

extension StreamOwner {
    func carrierLeaves() {}

    func outlivesCarrier() -> Bool { false }

    func receive(datagram: [UInt8]) -> Bool { false }

    func receive(_ bytes: Span<UInt8>, parts: [Range<Int>]) -> Int {
        var taken = 0
        for part in parts {
            let count = receive(bytes.extracting(part))
            taken += count
            if count < part.count { break }
        }
        return taken
    }
}

/// One visitor inside a tunnel session. Loop-owned; small, because there may be many and most are idle.
final class Stream: RateMember {
    /// What became of a fill.
    enum Fill: Equatable {
        case bytes(Int)
        /// The leg has nothing now.
        case again
        /// The window or the session is full; `streamCanSend` comes later.
        case blocked
        /// The leg's direction ended (the caller finishes the stream).
        case end
        /// The leg broke (the caller resets the stream).
        case failed
    }

    let id: UInt32
    /// Bytes the peer may be sent. Beside the id, so that both fill one word.
    private var sendWindow: Int32
    /// What the stream shares with the others of its contract: counters and the contract's rate.
    let flow: ContractFlow
    private let carrier: any StreamCarrier
    /// Who takes the bytes; set right after opening, released when the stream ends.
    var owner: (any StreamOwner)?
    private var window: ReceiveWindow
    private var kept: StuckBytes?
    private(set) var didFinish = false
    private(set) var peerFinished = false
    /// Both directions ended in order; the owner may not have taken everything yet.
    var hasEnded: Bool { didFinish && peerFinished }
    private var finishIsTold = false
    private(set) var isClosed = false
    /// Waits in the mux's queue of blocked streams.
    var isBlocked = false
    private var wantsToSend = false
    /// Waits in the line of the contract's rate.
    private var isInLineToSend = false
    private var isInLineToReceive = false

    init(id: UInt32, flow: ContractFlow, window: Int, carrier: any StreamCarrier) {
        self.id = id
        self.flow = flow
        self.carrier = carrier
        self.window = ReceiveWindow(size: window)
        sendWindow = Int32(window)
    }

    var loop: Loop { carrier.loop }
    /// Whether what carries the stream takes no new ones.
    var isLeaving: Bool { carrier.isLeaving }

    // MARK: Sending

    /// Stages bytes for the tunnel; returns how many were taken. Fewer than given: `streamCanSend` comes later.
    func send(_ bytes: Span<UInt8>) -> Int {
        guard !isClosed, !didFinish else { return bytes.count }
        var sent = 0
        while sent < bytes.count {
            let room = roomToSend()
            guard room > 0 else { break }
            let count = min(room, Frame.longestData, bytes.count - sent)
            carrier.stage(.data, stream: id, bytes.extracting(sent..<(sent + count)))
            sendWindow -= Int32(count)
            flow.didSend(count)
            sent += count
        }
        return sent
    }

    /// Stages one datagram; false when the session is congested or the contract's rate used up: `streamCanSend` comes later.
    func send(datagram bytes: Span<UInt8>) -> Bool {
        guard !isClosed else { return true }
        // A datagram goes as a whole: one that is larger than what the rate allows now is paid for later.
        if let pacer = flow.sending, pacer.allowance(for: self) == 0 {
            wantsToSend = true
            return false
        }
        guard carrier.hasRoom(forDatagram: bytes.count) else {
            wantsToSend = true
            carrier.block(self)
            return false
        }
        carrier.stage(.datagram, stream: id, bytes)
        flow.didSend(bytes.count)
        return true
    }

    /// Hands a datagram to the owner, or drops it when the contract's rate is used up; false when the owner takes none.
    func receive(datagram: [UInt8]) -> Bool {
        guard !isClosed, let owner else { return true }
        flow.didReceive(datagram.count)
        if let pacer = flow.receiving {
            guard pacer.allowance(for: self) > 0 else { return true }
            pacer.charge(datagram.count)
        }
        return owner.receive(datagram: datagram)
    }

    /// Reads a leg straight into the tunnel's stage: no copy, one system call for up to `limit` bytes.
    func fill(from leg: Leg, limit: Int = Loop.scratchSize) -> Fill {
        guard !isClosed, !didFinish else { return .failed }
        let room = roomToSend()
        guard room > 0 else { return .blocked }
        switch carrier.fill(from: leg, stream: id, limit: min(room, limit)) {
        case .bytes(let count):
            sendWindow -= Int32(count)
            flow.didSend(count)
            return .bytes(count)
        case .again: return .again
        case .end: return .end
        case .failed: return .failed
        }
    }

    private func roomToSend() -> Int {
        guard sendWindow > 0 else {
            wantsToSend = true
            return 0
        }
        var room = Int(sendWindow)
        if let pacer = flow.sending {
            room = min(room, pacer.allowance(for: self))
            if room == 0 {
                wantsToSend = true
                return 0
            }
        }
        room = min(room, carrier.roomForData())
        if room == 0 {
            wantsToSend = true
            carrier.block(self)
        }
        return room
    }

    /// Ends this direction (FIN); the other may go on.
    func finish() {
        guard !isClosed, !didFinish else { return }
        didFinish = true
        carrier.stage(.finish, stream: id)
        closeIfDone()
    }

    /// Ends both directions at once; the owner is not told.
    func reset(_ code: ResetCode) {
        guard !isClosed else { return }
        carrier.stageReset(stream: id, code)
        close()
    }

    /// The peer may be sent more.
    func credit(_ count: UInt32) -> Bool {
        guard Int64(sendWindow) + Int64(count) <= Int64(Int32.max) else { return false }
        sendWindow += Int32(count)
        if wantsToSend { carrier.block(self) }
        return true
    }

    /// Called by the mux when there is room again.
    func unblocked() {
        guard wantsToSend, sendWindow > 0, !isClosed else { return }
        wantsToSend = false
        owner?.streamCanSend()
    }

    // MARK: Receiving

    /// The peer has window for these bytes; false is a violation.
    @inline(__always)
    func admits(_ count: Int) -> Bool {
        guard !peerFinished, window.receive(count) else { return false }
        flow.didReceive(count)
        return true
    }

    func deliver(_ bytes: Span<UInt8>, parts: [Range<Int>]) {
        guard !isClosed, let owner else { return }
        var skip = 0
        if kept == nil {
            skip = flow.receiving == nil ? offer(bytes, parts, to: owner) : offerPaced(bytes, parts, to: owner)
            took(skip)
        }
        for part in parts {
            if isClosed { return }
            if skip >= part.count {
                skip -= part.count
                continue
            }
            let rest = bytes.extracting((part.lowerBound + skip)..<part.upperBound)
            skip = 0
            if let kept {
                guard kept.append(rest) else { return overBudget() }
            } else {
                kept = StuckBytes(rest, loop: carrier.loop)
                guard kept != nil else { return overBudget() }
            }
        }
    }

    @inline(__always)
    private func offer(_ bytes: Span<UInt8>, _ parts: [Range<Int>], to owner: any StreamOwner) -> Int {
        parts.count == 1 ? owner.receive(bytes.extracting(parts[0])) : owner.receive(bytes, parts: parts)
    }

    /// Offers as much as the contract's rate allows; what it does not allow is kept, and the stream stands in line for it.
    private func offerPaced(_ bytes: Span<UInt8>, _ parts: [Range<Int>], to owner: any StreamOwner) -> Int {
        guard let pacer = flow.receiving else { return 0 }
        let allowed = pacer.allowance(for: self)
        guard allowed < parts.reduce(0, { $0 + $1.count }) else {
            let taken = offer(bytes, parts, to: owner)
            pacer.charge(taken)
            return taken
        }
        var left = allowed
        var allowedParts: [Range<Int>] = []
        for part in parts where left > 0 {
            allowedParts.append(part.prefix(left))
            left -= min(left, part.count)
        }
        guard !allowedParts.isEmpty else { return 0 }
        let taken = offer(bytes, allowedParts, to: owner)
        pacer.charge(taken)
        if taken == allowed, !isClosed { pacer.wait(self) }
        return taken
    }

    /// The owner can take bytes again: offers what was kept.
    func resumeReceiving() {
        guard let kept, let owner, !isClosed else { return }
        let allowed = flow.receiving?.allowance(for: self) ?? Int.max
        guard allowed > 0 else { return }
        let before = kept.count
        let isEmpty = kept.offer(atMost: allowed) { owner.receive($0) }
        let taken = before - kept.count
        if isEmpty {
            self.kept = nil
            carrier.tookAll(self)
        }
        if let pacer = flow.receiving {
            pacer.charge(taken)
            if !isEmpty, taken == allowed { pacer.wait(self) }
        }
        took(taken)
        tellFinish()
    }

    // MARK: The contract's rate

    func isInLine(_ direction: FlowDirection) -> Bool {
        direction == .sending ? isInLineToSend : isInLineToReceive
    }

    func setInLine(_ direction: FlowDirection, _ value: Bool) {
        if direction == .sending { isInLineToSend = value } else { isInLineToReceive = value }
    }

    /// It is the stream's turn in the line of the contract's rate.
    func mayMove(_ direction: FlowDirection) {
        if direction == .sending { unblocked() } else { resumeReceiving() }
    }

    /// True while the owner has not taken everything.
    var holdsBytes: Bool { kept != nil }

    func receiveFinish() {
        peerFinished = true
        tellFinish()
    }

    /// A new owner took over from one that was told of the end already.
    func retellFinish() {
        finishIsTold = false
        tellFinish()
    }

    func receiveReset(_ code: ResetCode) {
        guard !isClosed else { return }
        let owner = owner
        close()
        owner?.receiveReset(code)
    }

    private func tellFinish() {
        guard peerFinished, !finishIsTold, kept == nil, !isClosed else { return }
        finishIsTold = true
        owner?.receiveFinish()
        closeIfDone()
    }

    private func overBudget() {
        let owner = owner
        reset(.limit)
        owner?.receiveReset(.limit)
    }

    private func took(_ count: Int) {
        guard count > 0, !isClosed, !peerFinished else { return }
        let carrier = carrier
        let isDue = window.isDue(after: count)
        let keepsUp = kept == nil
        let grant = window.take(count, now: carrier.loop.now, roundTrip: isDue ? carrier.roundTrip : 0) { more in
            keepsUp && carrier.mayGrow(by: more)
        }
        if grant > 0 { carrier.stageWindow(stream: id, grant) }
    }

    // MARK: Ending

    /// Gives the stream up without a word, since the peer knows: both directions ended, here or on a data connection.
    func retire() { close() }

    private func closeIfDone() {
        if didFinish, finishIsTold { close() }
    }

    private func close() {
        guard !isClosed else { return }
        isClosed = true
        kept = nil
        owner = nil
        carrier.forget(self, grown: Int(window.size) - carrier.initialWindow)
    }
}
