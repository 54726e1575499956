/// One visitor of a leased UDP port: a stream of datagrams that ends after a minute of silence. Loop-owned.
final class DatagramFlow: TicketHolder, StreamOwner {
    /// Silence in both directions after which a flow ends, in nanoseconds (60 s).
    static let idleTime: UInt64 = 60_000_000_000

    let visitor: Visitor
    private let port: DatagramPort
    private var stream: Stream?
    private var ticket: FlowTicket?
    private var waiting = DatagramQueue()
    private var lastActive: MonotonicNanoseconds
    private var isOver = false

    init(visitor: Visitor, port: DatagramPort) {
        self.visitor = visitor
        self.port = port
        lastActive = port.front.loop.now
    }

    /// Takes the stream that was opened for it; the first datagram carries the PROXY header.
    func begin(_ stream: Stream, _ ticket: FlowTicket, header: [UInt8], _ first: Span<UInt8>) {
        self.stream = stream
        self.ticket = ticket
        guard !header.isEmpty else { return forward(first) }
        var bytes = header
        bytes.append(copying: first)
        forward(bytes.span)
    }

    /// Passes a visitor's datagram to the agent; one that is too long for a frame is dropped.
    func forward(_ bytes: Span<UInt8>) {
        guard let stream, bytes.count <= DatagramSocket.longest else { return }
        lastActive = port.front.loop.now
        if waiting.isEmpty, stream.send(datagram: bytes) { return }
        var copy: [UInt8] = []
        copy.append(copying: bytes)
        waiting.append(copy)
    }

    func endIfIdle(_ now: MonotonicNanoseconds) {
        if now &- lastActive > Self.idleTime { end(.timeout) }
    }

    // MARK: The permit

    /// Datagrams are never half done: a flow that is no longer permitted runs for its `drain` all the same, as a stream does.
    var isIdle: Bool { false }

    func cut() { end(.contractEnded) }

    // MARK: The stream

    func receive(datagram: [UInt8]) -> Bool {
        lastActive = port.front.loop.now
        port.answer(datagram, to: visitor.peer)
        return true
    }

    func streamCanSend() {
        guard let stream else { return }
        waiting.drain { stream.send(datagram: $0.span) }
    }

    /// A stream of datagrams carries no DATA: the agent broke the rules of this stream.
    func receive(_ bytes: Span<UInt8>) -> Int {
        end(.refused)
        return bytes.count
    }

    func receiveFinish() { end(.cancelled) }

    func receiveReset(_ code: ResetCode) {
        if code == .dialFailed { port.front.count(.refusedByWorkload, ticket?.route.contract) }
        stream = nil
        end(code)
    }

    // MARK: Ending

    private func end(_ code: ResetCode) {
        guard !isOver else { return }
        isOver = true
        let (stream, ticket) = (stream, ticket)
        self.stream = nil
        self.ticket = nil
        stream?.reset(code)
        ticket?.end()
        port.ended(self)
    }
}
