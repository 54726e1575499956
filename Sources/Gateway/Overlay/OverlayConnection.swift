internal import Contracts

/// A connection of one visitor's stream to a workload on the overlay network: dialed by its literal address, plain bytes both ways, within
/// the contract's rate and under its meter. Loop-owned.
final class OverlayConnection: Handler, StreamCarrier {
    /// Nanoseconds that the connection may take to stand.
    private static let dialTime: UInt64 = 5_000_000_000
    /// Nanoseconds for which what the workload did not take yet is kept after the stream ended.
    private static let leavingTime: UInt64 = 30_000_000_000
    /// Bytes taken in one go from a visitor while the connection is being made, and then.
    private static let firstRoom = 16 << 10
    private static let room = 256 << 10
    private static let smallestRead = 16 << 10

    let loop: Loop
    let initialWindow = Frame.largestWindow
    private let subject: OverlaySubject
    private let leg: Leg
    private let front: Front
    private var stream: Stream?
    /// What the workload did not take yet.
    private var stuck: StuckBytes?
    private var isBlocked = false
    /// The visitor's direction ends once `stuck` is out.
    private var isFinishing = false
    private var hasEnded = false
    private var isBroken = false
    private var readSize = smallestRead << 2
    private var since: MonotonicNanoseconds

    /// Starts to dial.
    init(_ subject: OverlaySubject, front: Front) throws(SocketError) {
        self.subject = subject
        self.front = front
        loop = front.loop
        since = loop.now
        leg = try Leg(dialing: subject.address.socket, loop: loop)
        super.init()
        try leg.register(self)
    }

    /// Makes the one stream.
    func open(flow: ContractFlow, owner: any StreamOwner) -> Stream {
        let stream = Stream(id: 1, flow: flow, window: initialWindow, carrier: self)
        stream.owner = owner
        self.stream = stream
        flow.opened += 1
        front.overlay.entered(subject)
        return stream
    }

    // MARK: The workload's socket

    override func ready(_ events: Events) {
        guard leg.isOpen else { return }
        let wasConnecting = leg.isConnecting
        guard leg.note(events) else { return breakOff() }
        // Whatever the list of interfaces says: a connection whose two ends have one address never left this host.
        if wasConnecting, !leg.isConnecting, leg.localAddress?.with(port: 0) == subject.address.socket.with(port: 0) {
            return breakOff()
        }
        work()
        if events.contains(.failed), leg.isOpen { breakOff() }
    }

    override func again() { work() }

    override func loopStops() {
        leg.close()
        endStream(.internalError)
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        if leg.isConnecting {
            if now &- since > Self.dialTime { breakOff() }
        } else if stream == nil, now &- since > Self.leavingTime {
            close(abort: true)
        }
    }

    private func work() {
        guard leg.isOpen else { return }
        guard !isBroken else { return breakOff() }
        flushUp()
        if isBlocked, roomForData() > 0 {
            isBlocked = false
            stream?.unblocked()
        }
        readDown()
    }

    private func flushUp() {
        if let kept = stuck {
            let isEmpty = kept.offer { bytes in
                let count = leg.write(bytes)
                isBroken = count < 0
                return max(0, count)
            }
            if isBroken { return breakOff() }
            guard isEmpty else { return }
            stuck = nil
        }
        guard isFinishing, !leg.isConnecting else { return }
        isFinishing = false
        leg.shutdownWrite()
        if stream == nil { close(abort: false) }
    }

    private func readDown() {
        var budget = Loop.turnBudget
        while leg.isOpen, leg.hasInput, !hasEnded, let stream, !stream.holdsBytes {
            guard budget > 0 else { return loop.again(self) }
            let limit = readSize
            var isWithin = true
            let outcome = leg.readFrames(limit: limit) { bytes in
                isWithin = stream.admits(bytes.count)
                if isWithin { stream.deliver(bytes, parts: [0..<bytes.count]) }
            }
            switch outcome {
            case .bytes(let count):
                guard isWithin else { return breakOff() }
                budget -= count
                if count == limit { readSize = min(Loop.scratchSize, readSize << 1) }
                if stream.holdsBytes { readSize = max(Self.smallestRead, readSize / 2) }
            case .again: return
            case .end:
                hasEnded = true
                stream.receiveFinish()
            case .failed: return breakOff()
            }
        }
    }

    /// The connection broke, or never stood: the stream's owner learns it.
    private func breakOff() {
        guard leg.isOpen else { return }
        let isDialing = leg.isConnecting
        if isDialing { front.missed(subject) }
        leg.abort()
        loop.remove(self)
        endStream(isDialing ? .dialFailed : .internalError)
    }

    private func endStream(_ code: ResetCode) { stream?.receiveReset(code) }

    private func close(abort: Bool) {
        guard leg.isOpen else { return }
        if abort { leg.abort() } else { leg.close() }
        loop.remove(self)
    }

    // MARK: The stream

    var roundTrip: UInt64 { 0 }

    func roomForData() -> Int {
        guard leg.isOpen, !isBroken, stuck == nil, leg.canWrite else { return 0 }
        return leg.isConnecting ? Self.firstRoom : Self.room
    }

    func hasRoom(forDatagram count: Int) -> Bool { false }

    func stage(_ type: FrameType, stream id: UInt32, _ payload: Span<UInt8>) {
        if type == .data { send(payload) }
    }

    func stage(_ type: FrameType, stream id: UInt32) {
        guard type == .finish else { return }
        isFinishing = true
        if stuck == nil { flushUp() }
    }

    func stageReset(stream id: UInt32, _ code: ResetCode) { close(abort: true) }

    func stageWindow(stream id: UInt32, _ count: UInt32) {}

    func fill(from source: Leg, stream id: UInt32, limit: Int) -> Leg.Outcome {
        guard leg.isOpen, !isBroken else { return .failed }
        return source.read(limit: limit) { send($0) }
    }

    /// Gives the workload what it takes now and keeps the rest. What breaks is seen in the run queue, not in the middle of a call.
    private func send(_ bytes: Span<UInt8>) {
        guard leg.isOpen, !isBroken else { return }
        let count = stuck == nil ? leg.write(bytes) : 0
        if count < 0 {
            isBroken = true
        } else if count < bytes.count {
            stuck = StuckBytes(bytes.extracting(count..<bytes.count), loop: loop)
            isBroken = stuck == nil
        }
        if isBroken { loop.again(self) }
        // What limits the visitor is the room here, not a window.
        _ = stream?.credit(UInt32(bytes.count))
    }

    func block(_ stream: Stream) {
        isBlocked = true
        if roomForData() > 0 { loop.again(self) }
    }

    func mayGrow(by count: Int) -> Bool { false }

    func tookAll(_ stream: Stream) { loop.again(self) }

    func forget(_ stream: Stream, grown: Int) {
        self.stream = nil
        front.overlay.left(subject)
        since = loop.now
        guard leg.isOpen, stuck == nil, !isFinishing else { return }
        close(abort: false)
    }
}

extension Front {
    /// Opens a stream to a backend of a permitted overlay route, within the contract's limits.
    func dial(
        _ permit: Permit,
        _ visitor: Visitor,
        holder: any TicketHolder,
        owner: any StreamOwner
    ) -> Opening {
        let contract = permit.route.contract
        guard let backend = overlay.pick(permit.route, visitor: visitor.address, at: loop.now) else {
            return .refused(.unproven)
        }
        let load = load(of: contract)
        if let refusal = countIn(load, contract) { return .refused(refusal) }
        guard let connection = try? OverlayConnection(backend.subject, front: self) else {
            load.shared.load.leave()
            missed(backend.subject)
            return .refused(.noAgent)
        }
        let stream = connection.open(flow: load.flow, owner: owner)
        let ticket = FlowTicket(
            permit,
            dialed: backend.subject.address.description,
            visitor: visitor.address,
            load: load,
            holder: holder
        )
        return .opened(stream, ticket)
    }

    /// A backend could not be reached: it is left out for a while, and its proof is looked at.
    func missed(_ subject: OverlaySubject) {
        overlay.missed(subject, at: loop.now)
        _ = core.onFront(0) { $0.overlay.desk?.doubt(subject) }
    }
}
