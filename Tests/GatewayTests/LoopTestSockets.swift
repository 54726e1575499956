import Glibc

@testable import Gateway

/// A blocking socket for tests, with a deadline on every call.
final class TestSocket: Sendable {
    private let open: Lock<Int32>
    var descriptor: Int32 { open.withLock { $0 } }

    init(adopting descriptor: Int32) {
        open = Lock(descriptor)
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    convenience init(connectingTo address: SocketAddress) throws {
        let descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket") }
        self.init(adopting: descriptor)
        guard unsafe address.withSockaddr({ unsafe connect(descriptor, $0, $1) }) == 0 else {
            throw SocketError("connect", address)
        }
    }

    deinit { shut() }

    func shut() {
        open.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    func reset() {
        Socket.resetOnClose(descriptor)
        shut()
    }

    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Writes all of the bytes; false when the connection broke.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe send(descriptor, $0.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }

    /// Up to `limit` bytes; empty at the end; nil on an error (errno tells).
    func read(_ limit: Int = 65536) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = unsafe recv(descriptor, &buffer, limit, 0)
        guard count >= 0 else { return nil }
        buffer.removeLast(limit - count)
        return buffer
    }

    /// Exactly `count` bytes, or fewer when the peer ends or breaks.
    func read(exactly count: Int) -> [UInt8] {
        var result: [UInt8] = []
        while result.count < count, let part = read(min(65536, count - result.count)), !part.isEmpty { result += part }
        return result
    }

    /// Everything up to the end; nil when the connection breaks before it.
    func readToEnd() -> [UInt8]? {
        var result: [UInt8] = []
        while true {
            guard let part = read(1 << 18) else { return nil }
            if part.isEmpty { return result }
            result += part
        }
    }
}

/// A server with a thread for every connection.
final class TestServer: Sendable {
    let listener: ListeningSocket
    private let served = Lock(0)

    var address: SocketAddress { listener.address }
    var connections: Int { served.withLock { $0 } }

    init(
        at address: SocketAddress = SocketAddress("127.0.0.1:0")!,
        _ serve: @escaping @Sendable (TestSocket) -> Void
    ) throws {
        let listener = try ListeningSocket(address)
        self.listener = listener
        let flags = fcntl(listener.descriptor, F_GETFL)
        _ = fcntl(listener.descriptor, F_SETFL, flags & ~O_NONBLOCK)
        let served = served
        startThread {
            while true {
                let descriptor = accept(listener.descriptor, nil, nil)
                guard descriptor >= 0 else {
                    if errno == EMFILE || errno == ECONNABORTED || errno == EINTR { continue }
                    return
                }
                served.withLock { $0 += 1 }
                startThread { serve(TestSocket(adopting: descriptor)) }
            }
        }
    }

    func stop() { shutdown(listener.descriptor, Int32(SHUT_RDWR)) }
    deinit { stop() }

    /// Sends everything back, and the end after it.
    static func echo() throws -> TestServer {
        try TestServer { socket in
            while let bytes = socket.read(1 << 18), !bytes.isEmpty {
                if !socket.write(bytes) { return }
            }
            socket.finish()
        }
    }
}

private final class ThreadJob: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

func startThread(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(ThreadJob(body)).toOpaque()
    unsafe pthread_create(
        &thread,
        nil,
        { argument in
            unsafe Unmanaged<ThreadJob>.fromOpaque(argument!).takeRetainedValue().run()
            return nil
        },
        argument
    )
    pthread_detach(thread)
}

/// Runs blocking work off the pool that tests share.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        startThread { continuation.resume(returning: body()) }
    }
}

/// Bytes from a small generator: long, cheap, and never the same at two places.
func testBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    var bytes = [UInt8]()
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: state >> (UInt64(shift) * 8))) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

/// Descriptors this process has open.
func openDescriptors() -> Int {
    guard let directory = unsafe opendir("/proc/self/fd") else { return -1 }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    return count
}

/// Waits until a condition holds; false after the time.
func eventually(within limit: Duration = .seconds(10), _ condition: () async -> Bool) async -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while clock.now < end {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return await condition()
}
