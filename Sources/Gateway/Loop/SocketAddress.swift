internal import CLinux
internal import Glibc

/// Address of a socket: IPv4, IPv6 or a Unix-domain path. The text form is `ip:port`, `[ip]:port` or `unix:/path`.
enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// Address in host byte order.
    case v4(UInt32, port: UInt16)
    /// The two halves of the address in host byte order.
    case v6(UInt64, UInt64, port: UInt16, scope: UInt32)
    case unix(String)

    /// Parses a numeric address: `127.0.0.1:80`, `[::1]:80`, or `unix:/path`. Names are for `Resolver`.
    init?(_ text: String) {
        if text.utf8.starts(with: "unix:".utf8) {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, path.utf8.count < 108, !path.utf8.contains(0) else { return nil }
            self = .unix(path)
            return
        }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let portText = text[text.utf8.index(after: colon)...]
        guard portText.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let port = UInt16(portText) else { return nil }
        var host = text[..<colon]
        if host.utf8.first == UInt8(ascii: "["), host.utf8.last == UInt8(ascii: "]") {
            host = host.dropFirst().dropLast()
            guard host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        } else if host.utf8.contains(UInt8(ascii: ":")) {
            return nil
        }
        self.init(host: String(host), port: port)
    }

    /// A numeric host without brackets, and a port.
    init?(host: String, port: UInt16) {
        var four = in_addr()
        if unsafe inet_pton(AF_INET, host, &four) == 1 {
            self = .v4(UInt32(bigEndian: four.s_addr), port: port)
            return
        }
        var six = in6_addr()
        guard unsafe inet_pton(AF_INET6, host, &six) == 1 else { return nil }
        self = Self.v6(six, port: port, scope: 0)
    }

    private static func v6(_ address: in6_addr, port: UInt16, scope: UInt32) -> SocketAddress {
        let halves = unsafe withUnsafeBytes(of: address) { raw in
            unsafe (
                raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            )
        }
        let high = UInt64(bigEndian: halves.0)
        let low = UInt64(bigEndian: halves.1)
        // An IPv4 visitor of a dual-stack socket is an IPv4 visitor.
        if high == 0, low >> 32 == 0xffff { return .v4(UInt32(truncatingIfNeeded: low), port: port) }
        return .v6(high, low, port: port, scope: scope)
    }

    /// Reads what the kernel filled in; nil for a family other than these three.
    init?(_ storage: sockaddr_storage, length: socklen_t) {
        let parsed: SocketAddress? = unsafe withUnsafeBytes(of: storage) { raw in
            switch Int32(storage.ss_family) {
            case AF_INET:
                let four = unsafe raw.loadUnaligned(as: sockaddr_in.self)
                return .v4(UInt32(bigEndian: four.sin_addr.s_addr), port: UInt16(bigEndian: four.sin_port))
            case AF_INET6:
                let six = unsafe raw.loadUnaligned(as: sockaddr_in6.self)
                return Self.v6(six.sin6_addr, port: UInt16(bigEndian: six.sin6_port), scope: six.sin6_scope_id)
            case AF_UNIX:
                let bytes = unsafe raw[2..<max(2, min(Int(length), 110))].prefix { $0 != 0 }
                return .unix(unsafe String(decoding: bytes, as: UTF8.self))
            default:
                return nil
            }
        }
        guard let parsed else { return nil }
        self = parsed
    }

    var family: Int32 {
        switch self {
        case .v4: AF_INET
        case .v6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    var port: UInt16 {
        switch self {
        case .v4(_, let port), .v6(_, _, let port, _): port
        case .unix: 0
        }
    }

    /// Stands for all addresses of the machine: 0.0.0.0 or ::.
    var isUnspecified: Bool {
        switch self {
        case .v4(let address, _): address == 0
        case .v6(let high, let low, _, _): high | low == 0
        case .unix: false
        }
    }

    /// The same address with another port; a Unix path stays as it is.
    func with(port: UInt16) -> SocketAddress {
        switch self {
        case .v4(let address, _): .v4(address, port: port)
        case .v6(let high, let low, _, let scope): .v6(high, low, port: port, scope: scope)
        case .unix: self
        }
    }

    /// Lends the kernel's form of the address.
    func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        let (storage, length) = storage
        return unsafe withUnsafePointer(to: storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
        }
    }

    /// The kernel's form of the address.
    var storage: (sockaddr_storage, socklen_t) {
        var storage = sockaddr_storage()
        var length = socklen_t(0)
        switch self {
        case .v4(let address, let port):
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            four.sin_addr.s_addr = address.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: four, as: sockaddr_in.self) }
        case .v6(let high, let low, let port, let scope):
            var six = sockaddr_in6()
            six.sin6_family = sa_family_t(AF_INET6)
            six.sin6_port = port.bigEndian
            six.sin6_scope_id = scope
            unsafe withUnsafeMutableBytes(of: &six.sin6_addr) {
                unsafe $0.storeBytes(of: high.bigEndian, as: UInt64.self)
                unsafe $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: six, as: sockaddr_in6.self) }
        case .unix(let path):
            var bytes = Array(path.utf8.prefix(107))
            bytes.append(0)
            storage.ss_family = sa_family_t(AF_UNIX)
            length = socklen_t(2 + bytes.count)
            unsafe withUnsafeMutableBytes(of: &storage) { raw in
                for (index, byte) in bytes.enumerated() { unsafe raw[2 + index] = byte }
            }
        }
        return (storage, length)
    }

    /// The host alone, without brackets; the path of a Unix socket.
    var host: String {
        switch self {
        case .v4(let address, _):
            return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
        case .v6(let high, let low, _, let scope):
            var address = in6_addr()
            unsafe withUnsafeMutableBytes(of: &address) {
                unsafe $0.storeBytes(of: high.bigEndian, as: UInt64.self)
                unsafe $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            let text = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
                unsafe inet_ntop(AF_INET6, &address, buffer.baseAddress, 64) == nil
                    ? "" : unsafe String(cString: buffer.baseAddress!)
            }
            return scope == 0 ? text : "\(text)%\(scope)"
        case .unix(let path):
            return path
        }
    }

    var description: String {
        switch self {
        case .v4(_, let port): "\(host):\(port)"
        case .v6(_, _, let port, _): "[\(host)]:\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
