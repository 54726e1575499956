internal import CLinux
internal import Glibc

/// Looks host names up on threads of their own, since the system's resolver blocks.
final class Resolver: Sendable {
    /// Lookups under way at once; more wait.
    private static let mostThreads = 8
    private let state = Lock((running: 0, waiting: [@Sendable () -> Void]()))

    /// Resolves a host for a port and hands the addresses to the completion on the loop; none when the name is unknown.
    /// Numeric hosts are answered at once.
    func resolve(host: String, port: UInt16, on loop: Loop, _ completion: @escaping ([SocketAddress]) -> Void) {
        if let address = SocketAddress(host: host, port: port) { return completion([address]) }
        let bound = LoopBound(completion, on: loop)
        start {
            let addresses = Self.lookUp(host, port)
            bound.submit { $0(addresses) }
        }
    }

    private func start(_ work: @escaping @Sendable () -> Void) {
        let mayRun = state.withLock { state in
            guard state.running < Self.mostThreads else {
                state.waiting.append(work)
                return false
            }
            state.running += 1
            return true
        }
        if mayRun { spawn(work) }
    }

    private func spawn(_ work: @escaping @Sendable () -> Void) {
        let job = Job { [self] in
            work()
            while let next = state.withLock({ state -> (@Sendable () -> Void)? in
                if state.waiting.isEmpty {
                    state.running -= 1
                    return nil
                }
                return state.waiting.removeFirst()
            }) {
                next()
            }
        }
        var thread = pthread_t()
        let argument = unsafe Unmanaged.passRetained(job).toOpaque()
        let status = unsafe pthread_create(
            &thread,
            nil,
            { argument in
                unsafe Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            },
            argument
        )
        if status == 0 {
            pthread_detach(thread)
        } else {
            unsafe Unmanaged<Job>.fromOpaque(argument).release()
            // No thread to be had: answered late is better than never.
            job.run()
        }
    }

    private final class Job: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private static func lookUp(_ host: String, _ port: UInt16) -> [SocketAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var item = unsafe list
        while let current = unsafe item {
            unsafe item = current.pointee.ai_next
            var storage = sockaddr_storage()
            let length = unsafe current.pointee.ai_addrlen
            guard Int(length) <= MemoryLayout<sockaddr_storage>.size, let source = unsafe current.pointee.ai_addr else {
                continue
            }
            unsafe withUnsafeMutableBytes(of: &storage) {
                unsafe $0.baseAddress!.copyMemory(from: source, byteCount: Int(length))
            }
            if let address = SocketAddress(storage, length: length)?.with(port: port), !addresses.contains(address) {
                addresses.append(address)
            }
        }
        return addresses
    }
}
