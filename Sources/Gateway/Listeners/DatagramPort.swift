internal import Contracts

/// A leased UDP port on one loop: tells senders apart and gives each a flow. Loop-owned.
///
/// With several loops each has a socket on the same address, and the kernel spreads the senders. Where the contract's agent is
/// connected to another loop, the datagrams of a sender are passed there, and answered from that loop's socket.
final class DatagramPort: Handler {
    /// Flows of one port and loop.
    private static let mostFlows = 65_536
    private static let datagramsPerTurn = 512

    let front: Front
    let port: LeasedPort
    private let descriptor: DatagramDescriptor
    private var socket: DatagramSocket
    private var flows: [SocketAddress: DatagramFlow] = [:]
    /// Senders whose agent is at another loop, with the time of their last datagram.
    private var elsewhere: [SocketAddress: (place: Elsewhere, seen: MonotonicNanoseconds)] = [:]

    init(_ descriptor: DatagramDescriptor, port: LeasedPort, front: Front) throws(SocketError) {
        self.descriptor = descriptor
        self.port = port
        self.front = front
        socket = DatagramSocket(descriptor.descriptor)
        super.init()
        try front.loop.add(descriptor.descriptor, self)
    }

    var address: SocketAddress { descriptor.address }

    /// The table has the port no longer. Flows go on until their contract's `drain` is over, and the socket with them; new ones
    /// begin only if a later table permits them.
    func close() {
        isClosing = true
        endIfDone()
    }

    private var isClosing = false

    // MARK: The socket

    override func ready(_ events: Events) {
        if events.contains(.writable), socket.hasStaged { socket.flush(on: front.loop) }
        pump()
    }

    override func again() { pump() }
    override func flush() { socket.flush(on: front.loop) }

    private func pump() {
        var budget = Self.datagramsPerTurn
        while place >= 0 {
            guard budget > 0 else { return front.loop.again(self) }
            let outcome = socket.receive(on: front.loop) { bytes, sender in
                guard let sender, bytes.count > 0 else { return }
                take(bytes, Visitor(peer: sender, local: descriptor.address))
            }
            switch outcome {
            case .datagrams(let count): budget -= max(1, count)
            case .again: return
            // An earlier answer did not reach its visitor.
            case .failed: budget -= 1
            }
        }
    }

    /// A datagram of a visitor, from this loop's socket or passed on by another loop.
    func take(_ bytes: Span<UInt8>, _ visitor: Visitor) {
        if let flow = flows[visitor.peer] { return flow.forward(bytes) }
        guard visitor.hops == 0 else {
            // What this loop remembers would send it back to where it comes from, round and round.
            elsewhere[visitor.peer] = nil
            return begin(bytes, visitor)
        }
        if let (place, _) = elsewhere[visitor.peer] {
            elsewhere[visitor.peer] = (place, front.loop.now)
            return front.pass(bytes, visitor, port, to: place)
        }
        begin(bytes, visitor)
    }

    private func begin(_ bytes: Span<UInt8>, _ visitor: Visitor) {
        guard !front.isDraining else { return front.count(.ended, nil) }
        let permit: Permit
        switch front.routes.permit(port: port, visitor: visitor.address, at: front.wall) {
        case .refused(let refusal, let contract): return front.count(refusal, contract)
        case .permitted(let found): permit = found
        }
        guard flows.count + elsewhere.count < Self.mostFlows, front.admitFlow() else {
            return front.count(.limit, permit.route.contract)
        }
        let flow = DatagramFlow(visitor: visitor, port: self)
        let opening = front.open(permit, visitor: visitor, holder: flow, owner: flow) {
            $0.port = Int64(port.number)
        }
        switch opening {
        case .opened(let stream, let ticket):
            flows[visitor.peer] = flow
            let header = visitor.proxyHeader(permit.route.route.proxy, isDatagram: true)
            flow.begin(stream, ticket, header: header, bytes)
        case .elsewhere(let place):
            front.visitorLeft()
            elsewhere[visitor.peer] = (place, front.loop.now)
            front.pass(bytes, visitor, port, to: place)
        case .refused(let refusal):
            front.visitorLeft()
            front.count(refusal, permit.route.contract)
        }
    }

    // MARK: Flows

    /// Sends an answer to a visitor at the end of the turn.
    func answer(_ datagram: [UInt8], to visitor: SocketAddress) {
        socket.stage(datagram, to: visitor)
        front.loop.later(self)
    }

    func ended(_ flow: DatagramFlow) {
        flows[flow.visitor.peer] = nil
        front.visitorLeft()
        endIfDone()
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        for flow in Array(flows.values) { flow.endIfIdle(now) }
        elsewhere = elsewhere.filter { now &- $0.value.seen <= DatagramFlow.idleTime }
    }

    private func endIfDone() {
        guard isClosing, flows.isEmpty, place >= 0 else { return }
        if socket.hasStaged { socket.flush(on: front.loop) }
        front.forget(self)
        front.loop.detach(descriptor.descriptor)
        front.loop.remove(self)
    }

    override func loopStops() {
        isClosing = true
        for flow in Array(flows.values) { flow.cut() }
        endIfDone()
    }
}
