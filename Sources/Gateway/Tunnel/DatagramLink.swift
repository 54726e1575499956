/// A local UDP service joined to a stream of datagrams (agent side). Loop-owned.
final class DatagramLink: Handler, StreamOwner {
    /// Silence after which a flow ends. The gateway ends its side after 60 s; this is for a gateway that forgot.
    private static let idleTime: UInt64 = 90_000_000_000

    private let loop: Loop
    private let descriptor: DatagramDescriptor
    private var socket: DatagramSocket
    private var stream: Stream?
    private var waiting = DatagramQueue()
    private var lastActive: MonotonicNanoseconds

    /// Connects a socket to `target` and takes the stream over.
    init(_ stream: Stream, target: SocketAddress) throws(SocketError) {
        loop = stream.loop
        descriptor = try DatagramDescriptor(to: target)
        socket = DatagramSocket(descriptor.descriptor)
        lastActive = loop.now
        super.init()
        try loop.add(descriptor.descriptor, self)
        self.stream = stream
        stream.owner = self
    }

    // MARK: The socket

    override func ready(_ events: Events) {
        if events.contains(.writable), socket.hasStaged { socket.flush(on: loop) }
        pump()
    }

    override func again() { pump() }
    override func flush() { socket.flush(on: loop) }

    private func pump() {
        var budget = 256
        while stream != nil {
            guard budget > 0 else { return loop.again(self) }
            switch socket.receive(on: loop, { bytes, _ in forward(bytes) }) {
            case .datagrams(let count): budget -= max(1, count)
            case .again: return
            case .failed: return end(.dialFailed)
            }
        }
    }

    private func forward(_ bytes: Span<UInt8>) {
        guard let stream, bytes.count > 0, bytes.count <= DatagramSocket.longest else { return }
        lastActive = loop.now
        if waiting.isEmpty, stream.send(datagram: bytes) { return }
        var copy: [UInt8] = []
        copy.append(copying: bytes)
        waiting.append(copy)
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        if now &- lastActive > Self.idleTime { end(.timeout) }
    }

    override func loopStops() { end(.cancelled) }

    // MARK: The stream

    func receive(datagram: [UInt8]) -> Bool {
        lastActive = loop.now
        socket.stage(datagram, to: nil)
        loop.later(self)
        return true
    }

    func streamCanSend() {
        guard let stream else { return }
        waiting.drain { stream.send(datagram: $0.span) }
    }

    /// A stream of datagrams carries no DATA: the gateway broke the rules of this stream.
    func receive(_ bytes: Span<UInt8>) -> Int {
        end(.refused)
        return bytes.count
    }

    func receiveFinish() { end(.cancelled) }

    func receiveReset(_ code: ResetCode) {
        stream = nil
        close()
    }

    // MARK: Ending

    private func end(_ code: ResetCode) {
        stream?.reset(code)
        stream = nil
        close()
    }

    private func close() {
        guard place >= 0 else { return }
        if socket.hasStaged { socket.flush(on: loop) }
        loop.detach(descriptor.descriptor)
        loop.remove(self)
    }
}
