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

    /// The own address of a connection that was accepted here.
    func localAddress(of connection: Int32) -> SocketAddress? {
        address.isUnspecified ? Socket.localAddress(connection) : address
    }

    deinit { close(descriptor) }
}

/// Accepts connections on one loop. Running out of descriptors or memory never stops it: connections that are waiting are then
/// taken on a descriptor kept in reserve and closed, so that their peers learn it at once, and it pauses for a moment.
final class Acceptor: Handler {
    private static let perTurn = 64
    /// More than the kernel lets wait.
    private static let waiting = 65_536
    private static let pause: Duration = .milliseconds(100)
    /// From `finish` until all who had begun to connect are accepted. Timers are late by up to 100 ms.
    static let lastMoment: Duration = .milliseconds(250)

    private let loop: Loop
    private var socket: ListeningSocket?
    private let onAccept: (Int32, SocketAddress?) -> Void
    /// Kept open to be given up for one more `accept`; -1 when it could not be had.
    private var reserve: Int32
    /// Connections that were closed because no descriptor was left.
    private(set) var shed: Int64 = 0
    private var retry: Timer?

    /// Leaves those who come to the other loops that accept from the same socket.
    var isPaused = false {
        didSet {
            guard isPaused != oldValue, let socket, retry == nil else { return }
            if isPaused { loop.detach(socket.descriptor) } else { resume() }
        }
    }

    /// Starts accepting. `onAccept` owns the descriptor it is given; the peer is nil for a family it does not know.
    init(loop: Loop, socket: ListeningSocket, onAccept: @escaping (Int32, SocketAddress?) -> Void) throws(SocketError) {
        self.loop = loop
        self.socket = socket
        self.onAccept = onAccept
        reserve = Socket.placeholder()
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
        if reserve >= 0 { Glibc.close(reserve) }
        reserve = -1
        loop.remove(self)
    }

    /// Takes those who wait or have begun to connect, who would be reset otherwise, and stops accepting after a moment.
    func finish() {
        guard let socket else { return }
        Socket.beginNoMore(socket.descriptor)
        acceptSome(Self.waiting)
        loop.after(Self.pause) { [weak self] in
            self?.acceptSome(Self.waiting)
            self?.close()
        }
    }

    private func acceptSome(_ limit: Int = perTurn) {
        guard retry == nil else { return }
        for _ in 0..<limit {
            guard let socket else { return }
            if let (descriptor, peer) = Socket.accept(socket.descriptor) {
                onAccept(descriptor, peer)
                continue
            }
            switch errno {
            case EINTR, ECONNABORTED, EPROTO, EPERM:
                continue
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                shedSome(socket)
                // Level-triggered, so the socket would wake the loop at once again: leave the set until the pause is over.
                loop.detach(socket.descriptor)
                retry = loop.after(Self.pause) { [weak self] in self?.resume() }
                return
            default:
                return
            }
        }
    }

    /// Takes and resets what waits, a few at a time.
    private func shedSome(_ socket: ListeningSocket) {
        for _ in 0..<Self.perTurn where reserve >= 0 {
            Glibc.close(reserve)
            let accepted = Socket.accept(socket.descriptor)
            if let accepted {
                Socket.resetOnClose(accepted.descriptor)
                Glibc.close(accepted.descriptor)
                shed += 1
            }
            reserve = Socket.placeholder()
            if accepted == nil { return }
        }
        if reserve < 0 { reserve = Socket.placeholder() }
    }

    private func resume() {
        retry = nil
        guard let socket, !isPaused else { return }
        do {
            try loop.add(listener: socket.descriptor, self)
        } catch {
            retry = loop.after(Self.pause) { [weak self] in self?.resume() }
        }
    }
}
