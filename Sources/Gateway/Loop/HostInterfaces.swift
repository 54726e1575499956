internal import CLinux
internal import Contracts
internal import Glibc

/// The addresses that this host's interfaces have.
enum HostInterfaces {
    /// All of them now, of IPv4 and IPv6, of interfaces that are up or down; nil when the system does not tell.
    static func addresses() -> Set<IPAddress>? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return nil }
        defer { unsafe freeifaddrs(list) }
        var addresses: Set<IPAddress> = []
        var item = unsafe list
        while let current = unsafe item {
            unsafe item = current.pointee.ifa_next
            guard let source = unsafe current.pointee.ifa_addr else { continue }
            let size: Int
            switch Int32(unsafe source.pointee.sa_family) {
            case AF_INET: size = MemoryLayout<sockaddr_in>.size
            case AF_INET6: size = MemoryLayout<sockaddr_in6>.size
            default: continue
            }
            var storage = sockaddr_storage()
            unsafe withUnsafeMutableBytes(of: &storage) {
                unsafe $0.baseAddress!.copyMemory(from: source, byteCount: size)
            }
            switch SocketAddress(storage, length: socklen_t(size)) {
            case .v4(let address, _)?: addresses.insert(.v4(address))
            case .v6(let high, let low, _, _)?: addresses.insert(.v6(high, low))
            case .unix?, nil: break
            }
        }
        return addresses
    }
}
