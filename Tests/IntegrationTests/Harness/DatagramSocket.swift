import Foundation
import Glibc

/// A UDP socket of a visitor or a workload: blocking calls, reads end after a second.
final class DatagramSocket: Sendable {
    private let descriptor: Int32

    /// Binds a port of an IPv4 address; 0 lets the system choose.
    init(_ address: String, port: UInt16 = 0) throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard unsafe BlockingSocket.withAddress(address, port, { unsafe bind(descriptor, $0, $1) }) == 0 else {
            throw NeverHappened(description: "bind: errno \(errno)")
        }
    }

    deinit { close(descriptor) }

    var port: UInt16 {
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = unsafe withUnsafeMutablePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: name.sin_port)
    }

    func send(_ bytes: [UInt8], to address: String, _ port: UInt16) {
        _ = unsafe BlockingSocket.withAddress(address, port) { name, length in
            unsafe Int32(sendto(descriptor, bytes, bytes.count, 0, name, length))
        }
    }

    /// The next datagram; nil when none comes within a second.
    func receive() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : Array(bytes.prefix(count))
    }

    /// Sends until an answer comes, since datagrams may be lost; nil after `tries` seconds.
    func ask(_ bytes: [UInt8], at address: String, _ port: UInt16, tries: Int = 20) async -> [UInt8]? {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { [self] in
                for _ in 0..<tries {
                    send(bytes, to: address, port)
                    if let answer = receive() { return continuation.resume(returning: answer) }
                }
                continuation.resume(returning: nil)
            }
        }
    }

    /// Sends every datagram back to its sender, behind `first`, for as long as the process runs.
    func serveEcho(first: [UInt8] = []) {
        Thread.detachNewThread { [self] in
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                var name = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                _ = unsafe withUnsafeMutablePointer(to: &name) { pointer in
                    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        let count = unsafe recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length)
                        guard count >= 0 else { return -1 }
                        let answer = first + bytes.prefix(count)
                        return unsafe sendto(descriptor, answer, answer.count, 0, $0, length)
                    }
                }
            }
        }
    }
}
