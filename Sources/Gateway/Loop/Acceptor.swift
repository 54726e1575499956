internal import Glibc

/// A bound listening socket; several loops may accept from it. Closed when the last reference goes.
final class ListeningSocket: Sendable {
    let descriptor: Int32
    /// The address as bound, with the port the kernel chose when 0 was asked for.
    let address: SocketAddress

    init(_ address: SocketAddress) throws(SocketError) {
        descriptor = try Socket.listen(on: address)
        self.address = Socket.localAddress(descriptor) ?? address
    }

    deinit { close(descriptor) }
}

/// Accepts connections on one loop. Running out of descriptors or memory makes it pause, never stop.
final class Acceptor: Handler {
    private static let perTurn = 64
    private static let pause: Duration = .milliseconds(100)

    private let loop: Loop
    private var socket: ListeningSocket?
    private let onAccept: (Int32, SocketAddress?) -> Void
    private var retry: Timer?

    /// Starts accepting. `onAccept` owns the descriptor it is given; the peer is nil for a family it does not know.
    init(loop: Loop, socket: ListeningSocket, onAccept: @escaping (Int32, SocketAddress?) -> Void) throws(SocketError) {
        self.loop = loop
        self.socket = socket
        self.onAccept = onAccept
        super.init()
        try loop.add(listener: socket.descriptor, self)
    }

    /// Binds a socket of its own and starts accepting.
    convenience init(
        loop: Loop,
        address: SocketAddress,
        onAccept: @escaping (Int32, SocketAddress?) -> Void
    ) throws(SocketError) {
        try self.init(loop: loop, socket: ListeningSocket(address), onAccept: onAccept)
    }

    /// The address as bound.
    var address: SocketAddress? { socket?.address }

    override func ready(_ events: Events) { acceptSome() }
    override func loopStops() { close() }

    /// Stops accepting on this loop; the socket closes when no other acceptor holds it.
    func close() {
        guard let socket else { return }
        retry?.cancel()
        retry = nil
        loop.detach(socket.descriptor)
        self.socket = nil
        loop.remove(self)
    }

    private func acceptSome() {
        guard retry == nil else { return }
        for _ in 0..<Self.perTurn {
            guard let socket else { return }
            if let (descriptor, peer) = Socket.accept(socket.descriptor) {
                onAccept(descriptor, peer)
                continue
            }
            switch errno {
            case EINTR, ECONNABORTED, EPROTO, EPERM:
                continue
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                // Level-triggered, so the socket would wake the loop at once again: leave the set until the pause is over.
                loop.detach(socket.descriptor)
                retry = loop.after(Self.pause) { [weak self] in self?.resume() }
                return
            default:
                return
            }
        }
    }

    private func resume() {
        retry = nil
        guard let socket else { return }
        do {
            try loop.add(listener: socket.descriptor, self)
        } catch {
            retry = loop.after(Self.pause) { [weak self] in self?.resume() }
        }
    }
}
