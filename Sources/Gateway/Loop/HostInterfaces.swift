internal import CLinux
public import Contracts
internal import Glibc

/// An address of an interface of this process' network namespace.
public struct HostInterface: Hashable, Sendable {
    public var name: String
    public var address: IPAddress
    public var isUp: Bool

    public init(name: String, address: IPAddress, isUp: Bool) {
        self.name = name
        self.address = address
        self.isUp = isUp
    }
}

/// The interfaces of this process' network namespace.
public enum HostInterfaces {
    /// All addresses now, of IPv4 and IPv6, of interfaces that are up or down; nil when the system does not tell.
    public static func list() -> [HostInterface]? {
        var head: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&head) == 0 else { return nil }
        defer { unsafe freeifaddrs(head) }
        var interfaces: [HostInterface] = []
        var item = unsafe head
        while let current = unsafe item {
            unsafe item = current.pointee.ifa_next
            guard let source = unsafe current.pointee.ifa_addr, let address = unsafe ip(of: source) else { continue }
            let name = unsafe String(cString: current.pointee.ifa_name)
            let isUp = unsafe current.pointee.ifa_flags & 1 == 1
            interfaces.append(HostInterface(name: name, address: address, isUp: isUp))
        }
        return interfaces
    }

    private static func ip(of source: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
        let size: Int
        switch Int32(unsafe source.pointee.sa_family) {
        case AF_INET: size = MemoryLayout<sockaddr_in>.size
        case AF_INET6: size = MemoryLayout<sockaddr_in6>.size
        default: return nil
        }
        var storage = sockaddr_storage()
        unsafe withUnsafeMutableBytes(of: &storage) {
            unsafe $0.baseAddress!.copyMemory(from: source, byteCount: size)
        }
        switch SocketAddress(storage, length: socklen_t(size)) {
        case .v4(let address, _)?: return .v4(address)
        case .v6(let high, let low, _, _)?: return .v6(high, low)
        case .unix?, nil: return nil
        }
    }
}
