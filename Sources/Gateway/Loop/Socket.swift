internal import CLinux
internal import Glibc

/// A socket call that failed: the call, the address where one was involved, and errno.
struct SocketError: Error, CustomStringConvertible {
    let call: String
    let address: SocketAddress?
    let code: Int32

    @inline(never)
    init(_ call: String, _ address: SocketAddress? = nil, code: Int32 = errno) {
        self.call = call
        self.address = address
        self.code = code
    }

    /// What errno says.
    var reason: String { unsafe String(cString: strerror(code)) }

    var description: String {
        guard let address else { return "\(call): \(reason)" }
        return "\(call) \(address): \(reason)"
    }
}

/// Socket calls as this program uses them: never blocking, closed on exec, no signal on a broken pipe.
enum Socket {
    /// Binds and listens; port 0 lets the kernel choose (`localAddress` tells). A stale Unix path is removed first.
    static func listen(on address: SocketAddress, backlog: Int32 = 4096) throws(SocketError) -> Int32 {
        let fd = CLinux.socket(address.family, streamType, 0)
        guard fd >= 0 else { throw SocketError("socket", address) }
        if case .unix(let path) = address {
            unsafe unlink(path)
            // Before bind, so that the path never exists with wider permissions.
            fchmod(fd, 0o600)
        } else {
            set(fd, SOL_SOCKET, SO_REUSEADDR, 1)
            noDelay(fd, address)
            watchPeers(fd)
        }
        if address.family == AF_INET6 { set(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        guard unsafe address.withSockaddr({ unsafe Glibc.bind(fd, $0, $1) }) == 0 else {
            let error = SocketError("bind", address)
            Glibc.close(fd)
            throw error
        }
        guard Glibc.listen(fd, backlog) == 0 else {
            let error = SocketError("listen", address)
            Glibc.close(fd)
            throw error
        }
        return fd
    }

    /// Starts a connection; the descriptor becomes writable, or fails, later.
    static func connect(to address: SocketAddress) throws(SocketError) -> Int32 {
        let fd = CLinux.socket(address.family, streamType, 0)
        guard fd >= 0 else { throw SocketError("socket", address) }
        noDelay(fd, address)
        if unsafe address.withSockaddr({ unsafe Glibc.connect(fd, $0, $1) }) != 0, errno != EINPROGRESS {
            let error = SocketError("connect", address)
            Glibc.close(fd)
            throw error
        }
        return fd
    }

    /// Binds a UDP socket that shares its address with others of this user; port 0 lets the kernel choose.
    static func datagrams(on address: SocketAddress) throws(SocketError) -> Int32 {
        let fd = CLinux.socket(address.family, datagramType, 0)
        guard fd >= 0 else { throw SocketError("socket", address) }
        set(fd, SOL_SOCKET, Int32(WEBGW_SO_REUSEPORT), 1)
        if address.family == AF_INET6 { set(fd, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        enlarge(fd)
        guard unsafe address.withSockaddr({ unsafe Glibc.bind(fd, $0, $1) }) == 0 else {
            let error = SocketError("bind", address)
            Glibc.close(fd)
            throw error
        }
        return fd
    }

    /// A UDP socket that talks to one address.
    static func datagrams(to address: SocketAddress) throws(SocketError) -> Int32 {
        let fd = CLinux.socket(address.family, datagramType, 0)
        guard fd >= 0 else { throw SocketError("socket", address) }
        enlarge(fd)
        guard unsafe address.withSockaddr({ unsafe Glibc.connect(fd, $0, $1) }) == 0 else {
            let error = SocketError("connect", address)
            Glibc.close(fd)
            throw error
        }
        return fd
    }

    /// As much room for datagrams as the system grants, up to 4 MiB each way.
    private static func enlarge(_ fd: Int32) {
        set(fd, SOL_SOCKET, SO_RCVBUF, 4 << 20)
        set(fd, SOL_SOCKET, SO_SNDBUF, 4 << 20)
    }

    private static let datagramType =
        Int32(SOCK_DGRAM.rawValue) | Int32(WEBGW_SOCK_NONBLOCK | WEBGW_SOCK_CLOEXEC)

    /// Accepts one connection, or returns nil with errno set. It has the options of its listener.
    static func accept(_ listener: Int32) -> (descriptor: Int32, peer: SocketAddress?)? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let fd = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe webgw_accept4(
                    listener,
                    $0,
                    &length,
                    Int32(WEBGW_SOCK_NONBLOCK | WEBGW_SOCK_CLOEXEC)
                )
            }
        }
        guard fd >= 0 else { return nil }
        let peer = SocketAddress(storage, length: length)
        return (fd, peer)
    }

    /// Lets a listener begin no more handshakes, while those that began go on: who is let connect can be accepted to the last. Who comes
    /// later is not answered, tries again after a second, and is refused then if the listener is closed.
    static func beginNoMore(_ listener: Int32) { _ = webgw_drop_new_handshakes(listener) }

    /// A descriptor of nothing, to be given up when one is needed; -1 when there is none.
    static func placeholder() -> Int32 { eventfd(0, Int32(WEBGW_SOCK_CLOEXEC)) }

    static func localAddress(_ fd: Int32) -> SocketAddress? {
        unsafe address { unsafe getsockname(fd, $0, $1) }
    }

    /// The next `close` sends RST, and leaves no TIME_WAIT behind.
    static func resetOnClose(_ fd: Int32) {
        var value = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// What accepted sockets inherit, so that it costs them no call: a silent peer is asked after a minute whether it is still
    /// there, and then every 15 s; one that takes nothing of what waits for it is given up after ten minutes.
    ///
    /// With a user timeout the kernel gives up a silent peer only when that is over, however many questions stay unanswered (tcp(7)), so
    /// that `isDeserted` has to be asked.
    static func watchPeers(_ fd: Int32) {
        set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
        set(fd, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 60)
        set(fd, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 15)
        setUserTimeout(fd, .seconds(600))
    }

    /// Whether the peer left four questions unanswered.
    static func isDeserted(_ fd: Int32) -> Bool { webgw_unanswered_probes(fd) >= 4 }

    /// Bytes sent but not acknowledged for this long end the connection.
    static func setUserTimeout(_ fd: Int32, _ duration: Duration) {
        set(fd, Int32(IPPROTO_TCP), Int32(WEBGW_TCP_USER_TIMEOUT), Int32(clamping: duration.nanoseconds / 1_000_000))
    }

    private static let streamType =
        Int32(SOCK_STREAM.rawValue) | Int32(WEBGW_SOCK_NONBLOCK | WEBGW_SOCK_CLOEXEC)

    private static func noDelay(_ fd: Int32, _ address: SocketAddress) {
        if address.family != AF_UNIX { set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
    }

    @discardableResult
    private static func set(_ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32) -> Int32 {
        var value = value
        return unsafe setsockopt(fd, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func address(
        _ call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe call($0, &length) }
        }
        return status == 0 ? SocketAddress(storage, length: length) : nil
    }
}
