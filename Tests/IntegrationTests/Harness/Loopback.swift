import Foundation
import Glibc
import Synchronization

/// Loopback addresses and ports that no other test of this run uses.
enum Loopback {
    private static let next = Atomic<UInt32>(0)
    private static let nextLease = Atomic<UInt16>(0)

    /// A fresh address of 127.0.0.0/8, never 127.0.0.x: a deployment's listeners cannot meet anybody else's.
    static func address() -> String {
        let number = next.wrappingAdd(1, ordering: .relaxed).newValue
        let process = UInt32(bitPattern: getpid())
        return "127.\(1 + (process & 0x3F)).\((process >> 6) & 0xFF).\(1 + number % 250)"
    }

    /// A range of ports for leases, below those that the system gives out, and none that an earlier call gave.
    static func leases(_ count: Int) -> ClosedRange<UInt16> {
        let first = 12_000 + nextLease.wrappingAdd(UInt16(count), ordering: .relaxed).oldValue % 16_000
        return first...(first + UInt16(count) - 1)
    }

    /// A port that is free at `address` now.
    static func freePort(_ address: String) throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw NeverHappened(description: "no socket: errno \(errno)") }
        defer { close(descriptor) }
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        guard unsafe inet_pton(AF_INET, address, &name.sin_addr) == 1 else {
            throw NeverHappened(description: "\(address) is no address")
        }
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(descriptor, generic, length) == 0 ? getsockname(descriptor, generic, &length) : -1
            }
        }
        guard result == 0 else { throw NeverHappened(description: "\(address) cannot be bound: errno \(errno)") }
        return UInt16(bigEndian: name.sin_port)
    }
}
