import Foundation
import Glibc

/// A TCP socket for bulk: blocking calls on threads of their own, so that back-pressure is the kernel's.
final class BlockingSocket: Sendable {
    private let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Connects to a numeric IPv4 address, from another when `source` is given.
    static func connected(_ address: String, _ port: UInt16, source: String? = nil) throws -> BlockingSocket {
        let socket = BlockingSocket(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        if let source, unsafe withAddress(source, 0, { unsafe bind(socket.descriptor, $0, $1) }) != 0 {
            throw NeverHappened(description: "bind to \(source): errno \(errno)")
        }
        guard unsafe withAddress(address, port, { unsafe connect(socket.descriptor, $0, $1) }) == 0 else {
            throw NeverHappened(description: "connect: errno \(errno)")
        }
        return socket
    }

    /// Listens on a free port of 127.0.0.1, or of another address.
    static func listening(_ port: UInt16, _ address: String = "127.0.0.1") throws -> BlockingSocket {
        let socket = BlockingSocket(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        guard unsafe withAddress(address, port, { unsafe bind(socket.descriptor, $0, $1) }) == 0,
            listen(socket.descriptor, 1024) == 0
        else { throw NeverHappened(description: "listen: errno \(errno)") }
        return socket
    }

    func accepted() -> BlockingSocket? {
        let descriptor = accept(descriptor, nil, nil)
        return descriptor < 0 ? nil : BlockingSocket(descriptor)
    }

    /// Reads what is there, at most `buffer.count` bytes; 0 at the end, -1 when the connection broke.
    func read(into buffer: inout [UInt8]) -> Int { unsafe recv(descriptor, &buffer, buffer.count, 0) }

    /// Writes all of the bytes; false when the connection broke.
    func write(_ bytes: ArraySlice<UInt8>) -> Bool {
        unsafe bytes.withUnsafeBytes { source in
            var offset = 0
            while offset < source.count {
                let count = unsafe send(
                    descriptor,
                    source.baseAddress! + offset,
                    source.count - offset,
                    Int32(MSG_NOSIGNAL)
                )
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
    }

    /// Reads and writes fail after so many seconds without a byte.
    func setDeadline(seconds: Int) {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    /// The end of the connection will be a reset.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends both directions at once; what reads on another thread wakes up.
    func cut() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Sends RST at once, also while another thread reads or writes.
    func abort() {
        var nowhere = sockaddr()
        nowhere.sa_family = sa_family_t(AF_UNSPEC)
        _ = unsafe connect(descriptor, &nowhere, socklen_t(MemoryLayout<sockaddr>.size))
    }

    /// The socket ends with RST when its last user lets go of it.
    func resetAtEnd() {
        var value = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// Everything up to the end; nil when the connection broke before it.
    func readToEnd() -> [UInt8]? {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(into: &buffer)
            guard count >= 0 else { return nil }
            if count == 0 { return all }
            all += buffer[..<count]
        }
    }

    /// Exactly `count` bytes, or fewer when the peer ends or breaks.
    func read(exactly count: Int) -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count {
            var buffer = [UInt8](repeating: 0, count: min(count - all.count, 64 << 10))
            let read = read(into: &buffer)
            guard read > 0 else { break }
            all += buffer[..<read]
        }
        return all
    }

    /// Sends `first` and then everything back on every connection, and half-closes when the peer did; runs until the process ends.
    static func serveEcho(_ port: UInt16, first: [UInt8] = []) throws {
        let listener = try listening(port)
        Thread.detachNewThread {
            while let peer = listener.accepted() {
                Thread.detachNewThread {
                    var buffer = [UInt8](repeating: 0, count: 256 * 1024)
                    _ = peer.write(first[...])
                    while true {
                        let count = peer.read(into: &buffer)
                        guard count > 0, peer.write(buffer[..<count]) else { break }
                    }
                    peer.finish()
                }
            }
        }
    }

    static func withAddress(
        _ address: String,
        _ port: UInt16,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        guard unsafe inet_pton(AF_INET, address, &name.sin_addr) == 1 else { return -1 }
        return unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe body(generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
