internal import CLinux
internal import Glibc

/// One socket, plain or TLS, that never blocks. Loop-owned.
///
/// Readiness is edge-triggered and remembered: `canRead` and `canWrite` hold until a call meets the end of it.
@safe final class Leg {
    enum Outcome: Equatable {
        /// This many bytes, at least one.
        case bytes(Int)
        /// Nothing now; an event will come.
        case again
        /// The peer ended its direction.
        case end
        /// The connection broke.
        case failed
    }

    let loop: Loop
    private(set) var descriptor: Int32
    private(set) var tls: TLSEngine?
    private(set) var canRead = false
    private(set) var canWrite = true
    /// The kernel reported the end of the peer's direction, so that a short read does not mean that nothing follows.
    private(set) var hasEnd = false
    private(set) var didShutDown = false
    /// True while the connection a dial started may still fail.
    private(set) var isConnecting = false

    /// Takes over a connected, non-blocking socket.
    init(adopting descriptor: Int32, loop: Loop, tls: TLSEngine? = nil) {
        self.descriptor = descriptor
        self.loop = loop
        self.tls = tls
    }

    /// Starts to connect. Bytes may be written at once: the kernel says `again` until the connection stands.
    init(dialing address: SocketAddress, loop: Loop, tls: TLSEngine? = nil) throws(SocketError) {
        descriptor = try Socket.connect(to: address)
        self.loop = loop
        self.tls = tls
        // A Unix socket stands when the call returns, and its peer may be gone, with all it said, before the first event.
        isConnecting = address.family != AF_UNIX
    }

    deinit { close() }

    var isOpen: Bool { descriptor >= 0 }
    var localAddress: SocketAddress? { isOpen ? Socket.localAddress(descriptor) : nil }
    /// True when a read may give something: the socket has news, or TLS holds decrypted or undecrypted bytes.
    var hasInput: Bool { canRead || tls?.hasPending == true }
    /// True when bytes that were accepted by `write` still wait for the socket.
    var hasOutput: Bool { (tls?.outputCount ?? 0) > 0 }

    /// Finds out by itself when the peer of a socket that was dialed is gone, as accepted sockets do.
    func watchPeer() { Socket.watchPeers(descriptor) }

    /// Whether the peer is gone without a word; asked of the kernel now and then, once the socket was silent for two minutes.
    func isDeserted(silentSeconds seconds: UInt32) -> Bool {
        seconds >= 120 && seconds & 15 == 0 && isOpen && Socket.isDeserted(descriptor)
    }

    /// Registers the leg's socket with its handler.
    func register(_ handler: Handler, second: Bool = false) throws(SocketError) {
        try loop.add(descriptor, handler, second: second)
    }

    /// Remembers what epoll said. False when a pending connection failed.
    @discardableResult
    func note(_ events: Events) -> Bool {
        if !events.isDisjoint(with: [.readable, .peerFinished, .hungUp, .failed]) { canRead = true }
        if !events.isDisjoint(with: [.writable, .hungUp, .failed]) { canWrite = true }
        if !events.isDisjoint(with: [.peerFinished, .hungUp, .failed]) { hasEnd = true }
        if isConnecting, !events.isDisjoint(with: [.writable, .failed, .hungUp]) {
            // A socket that is still unconnected reports hung-up and writable; the error tells a failure.
            if events.contains(.failed) || events.contains(.hungUp) {
                return false
            }
            isConnecting = false
        }
        return true
    }

    // MARK: Reading

    /// Reads through the loop's scratch and lends the bytes; they are gone when the body returns.
    @inline(__always)
    func read(limit: Int = Loop.scratchSize, _ body: (Span<UInt8>) -> Void) -> Outcome {
        let outcome = unsafe read(
            into: UnsafeMutableRawBufferPointer(start: loop.scratch, count: min(limit, Loop.scratchSize))
        )
        if case .bytes(let count) = outcome {
            let pointer = unsafe loop.scratch.assumingMemoryBound(to: UInt8.self)
            unsafe body(Span(_unsafeStart: pointer, count: count))
        }
        return outcome
    }

    /// As `read`, through the scratch of tunnel frames, so that the body may read other legs.
    @inline(__always)
    func readFrames(limit: Int = Loop.scratchSize, _ body: (Span<UInt8>) -> Void) -> Outcome {
        let outcome = unsafe read(
            into: UnsafeMutableRawBufferPointer(start: loop.frameScratch, count: min(limit, Loop.scratchSize))
        )
        if case .bytes(let count) = outcome {
            let pointer = unsafe loop.frameScratch.assumingMemoryBound(to: UInt8.self)
            unsafe body(Span(_unsafeStart: pointer, count: count))
        }
        return outcome
    }

    /// Reads into memory of the caller (within this wall).
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        guard isOpen else { return .failed }
        if let tls { return unsafe readTLS(tls, buffer) }
        guard canRead else { return .again }
        return unsafe receive(buffer)
    }

    /// Reads a plain socket into parts of `part` bytes with gaps of `gap` bytes before each (within this wall).
    func read(into start: UnsafeMutableRawPointer, limit: Int, part: Int, gap: Int) -> Outcome {
        guard isOpen else { return .failed }
        guard canRead else { return .again }
        return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: (limit + part - 1) / part) { vectors in
            var offset = 0
            for index in vectors.indices {
                let size = min(part, limit - offset)
                unsafe vectors[index] = iovec(iov_base: start + offset + (index + 1) * gap, iov_len: size)
                offset += size
            }
            while true {
                let count = unsafe readv(descriptor, vectors.baseAddress, Int32(vectors.count))
                if let outcome = outcome(count, of: limit) { return outcome }
            }
        }
    }

    private func receive(_ buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        while true {
            let count = unsafe webgw_recv(descriptor, buffer.baseAddress, buffer.count)
            if let outcome = outcome(count, of: buffer.count) { return outcome }
        }
    }

    /// What a read call said; nil when it was interrupted. A short read empties the socket, unless its end is known.
    @inline(__always)
    private func outcome(_ count: Int, of limit: Int) -> Outcome? {
        if count > 0 {
            if count < limit, !hasEnd { canRead = false }
            isConnecting = false
            return .bytes(count)
        }
        if count == 0 { return .end }
        switch errno {
        case EINTR: return nil
        case EAGAIN:
            canRead = false
            return .again
        default: return .failed
        }
    }

    /// A TLS record at most, so that what is pulled always fits the plaintext buffer.
    private static let recordSlack = 18 << 10

    private func readTLS(_ tls: TLSEngine, _ buffer: UnsafeMutableRawBufferPointer) -> Outcome {
        while true {
            if !tls.hasPending {
                guard canRead else { return .again }
                let room = min(Loop.scratchSize, max(buffer.count - Self.recordSlack, Self.recordSlack))
                switch unsafe receive(UnsafeMutableRawBufferPointer(start: loop.cipherScratch, count: room)) {
                case .bytes(let count):
                    unsafe tls.setInput(UnsafeRawBufferPointer(start: loop.cipherScratch, count: count))
                case .again: return .again
                case .end: return .end
                case .failed: return .failed
                }
            }
            let count = unsafe tls.read(into: buffer)
            tls.keepInput()
            // OpenSSL may have answered something: an alert, a key update.
            if tls.outputCount > 0, !flush() { return .failed }
            switch count {
            case 1...: return .bytes(count)
            case 0: return .end
            case -1: continue
            default: return .failed
            }
        }
    }

    // MARK: Writing

    /// Writes what the socket takes now; 0 when it takes nothing, -1 when the connection broke. TLS takes all or nothing.
    func write(_ bytes: Span<UInt8>) -> Int {
        unsafe bytes.withUnsafeBytes { unsafe write($0) }
    }

    /// Writes several parts of one read in one call, as `write` does.
    func write(_ bytes: Span<UInt8>, parts: [Range<Int>]) -> Int {
        if tls != nil || parts.count == 1 {
            var taken = 0
            for part in parts {
                let count = write(bytes.extracting(part))
                if count < 0 { return -1 }
                taken += count
                if count < part.count { break }
            }
            return taken
        }
        guard isOpen, !didShutDown else { return -1 }
        guard canWrite else { return 0 }
        var total = 0
        return unsafe bytes.withUnsafeBytes { source in
            unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: parts.count) { vectors in
                for (index, part) in parts.enumerated() {
                    let base = unsafe UnsafeMutableRawPointer(mutating: source.baseAddress! + part.lowerBound)
                    unsafe vectors[index] = iovec(iov_base: base, iov_len: part.count)
                    total += part.count
                }
                var message = unsafe msghdr()
                unsafe message.msg_iov = vectors.baseAddress
                unsafe message.msg_iovlen = vectors.count
                while true {
                    let count = unsafe sendmsg(descriptor, &message, Int32(MSG_NOSIGNAL))
                    if let written = written(count, of: total) { return written }
                }
            }
        }
    }

    /// Writes memory of the caller (within this wall).
    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard isOpen, !didShutDown else { return -1 }
        guard let tls else { return unsafe send(bytes) }
        if tls.outputCount > 0 {
            guard flush() else { return -1 }
            if tls.outputCount > 0 { return 0 }
        }
        guard tls.isEstablished else { return 0 }
        guard unsafe tls.write(bytes), flush() else { return -1 }
        return bytes.count
    }

    private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard canWrite, bytes.count > 0 else { return 0 }
        while true {
            let count = unsafe webgw_send(descriptor, bytes.baseAddress, bytes.count)
            if let written = written(count, of: bytes.count) { return written }
        }
    }

    /// What a write call said; nil when it was interrupted.
    @inline(__always)
    private func written(_ count: Int, of total: Int) -> Int? {
        if count >= 0 {
            if count < total { canWrite = false }
            isConnecting = false
            return count
        }
        switch errno {
        case EINTR: return nil
        case EAGAIN:
            canWrite = false
            return 0
        case ENOTCONN where isConnecting:
            canWrite = false
            return 0
        default: return -1
        }
    }

    /// Writes waiting ciphertext; false when the connection broke. `hasOutput` tells whether some is left.
    func flush() -> Bool {
        guard let tls, tls.outputCount > 0, canWrite else { return isOpen }
        var broken = false
        unsafe tls.drainOutput { bytes in
            let count = unsafe send(bytes)
            if count < 0 { broken = true }
            return max(0, count)
        }
        return !broken
    }

    // MARK: TLS handshake

    /// Drives the handshake as far as the socket lets it.
    func handshake() -> TLSEngine.Progress {
        guard let tls, isOpen else { return .failed(TLSError("handshake", reason: "closed")) }
        while true {
            let progress = tls.handshake()
            tls.keepInput()
            if tls.outputCount > 0, !flush() {
                if case .failed = progress { return progress }
                return .failed(TLSError("handshake", reason: "connection closed"))
            }
            guard case .again = progress else { return progress }
            guard canRead else { return .again }
            switch unsafe receive(UnsafeMutableRawBufferPointer(start: loop.cipherScratch, count: 64 << 10)) {
            case .bytes(let count): unsafe tls.setInput(UnsafeRawBufferPointer(start: loop.cipherScratch, count: count))
            case .again: return .again
            case .end, .failed: return .failed(TLSError("handshake", reason: "connection closed"))
            }
        }
    }

    // MARK: Ending

    /// Ends this direction (FIN; with TLS, close_notify before it). Bytes already accepted go first.
    func shutdownWrite() {
        guard isOpen, !didShutDown else { return }
        if let tls {
            tls.shutdown()
            _ = flush()
        }
        didShutDown = true
        Glibc.shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Closes an accepted descriptor that nobody is there to serve.
    static func closeUnserved(_ descriptor: Int32) { Glibc.close(descriptor) }

    /// Gives the open descriptor away, out of this loop's set, to be adopted again here or by another loop. Plain legs only.
    func release() -> Int32 {
        precondition(tls == nil && isOpen)
        loop.detach(descriptor)
        defer { descriptor = -1 }
        return descriptor
    }

    /// Closes the socket in order; safe to repeat.
    func close() {
        guard isOpen else { return }
        if let tls, !didShutDown {
            tls.shutdown()
            _ = flush()
        }
        Glibc.close(descriptor)
        descriptor = -1
        tls = nil
    }

    /// Closes with RST: the peer sees an abort, and no TIME_WAIT is left.
    func abort() {
        guard isOpen else { return }
        Socket.resetOnClose(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
        tls = nil
    }

    // MARK: Splice (within this wall)

    /// Moves up to `limit` bytes from the socket into a pipe without copying.
    func splice(into pipe: BufferPool.Pipe, limit: Int) -> Outcome {
        guard isOpen, canRead else { return .again }
        let flags = UInt32(WEBGW_SPLICE_F_MOVE | WEBGW_SPLICE_F_NONBLOCK)
        let count = webgw_splice(descriptor, nil, pipe.writer, nil, limit, flags)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .end }
        if errno == EAGAIN || errno == EINTR {
            canRead = errno == EINTR
            return .again
        }
        return .failed
    }

    /// Moves bytes from a pipe into the socket; `again` when the socket takes nothing now.
    func splice(from pipe: BufferPool.Pipe, count: Int) -> Outcome {
        guard isOpen, !didShutDown else { return .failed }
        guard canWrite else { return .again }
        let flags = UInt32(WEBGW_SPLICE_F_MOVE | WEBGW_SPLICE_F_NONBLOCK)
        let moved = webgw_splice(pipe.reader, nil, descriptor, nil, count, flags)
        if moved > 0 { return .bytes(moved) }
        if moved < 0, errno == EAGAIN || errno == EINTR {
            canWrite = errno == EINTR
            return .again
        }
        return .failed
    }

    /// The kernel's smoothed round-trip time in microseconds; 0 when unknown.
    var roundTripMicroseconds: UInt32 { isOpen ? webgw_round_trip_microseconds(descriptor) : 0 }
}
