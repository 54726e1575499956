import Glibc
import Testing

@testable import Gateway

@Suite("Loop", .serialized)
struct LoopTests {
    @Test("runs submitted work in order on its own thread, and nothing after stop")
    func submit() async throws {
        let loop = try Loop()
        loop.start()
        let seen = Lock<[Int]>([])
        for number in 0..<1000 { loop.submit { seen.withLock { $0.append(number) } } }
        let onLoop = await loop.run { loop.isCurrent }
        #expect(onLoop == true)
        #expect(!loop.isCurrent)
        #expect(seen.withLock { $0 } == Array(0..<1000))
        await loop.stop()
        #expect(!loop.submit { seen.withLock { $0.append(-1) } })
        #expect(await loop.run { 1 } == nil)
        await loop.stop()
        #expect(seen.withLock { $0.count } == 1000)
    }

    @Test("a timer fires after its time")
    func timer() async throws {
        let loop = try Loop()
        loop.start()
        let start = monotonicNow()
        let fired = await withCheckedContinuation { continuation in
            loop.submit { loop.after(.milliseconds(150)) { continuation.resume(returning: monotonicNow()) } }
        }
        #expect(fired - start >= 150_000_000)
        await loop.stop()
    }

    @Test(
        "joins two sockets with exact bytes and half-close, by copy and by splice",
        arguments: [10, 100_000, 32 << 20]
    )
    func link(_ count: Int) async throws {
        let server = try TestServer.echo()
        let loop = try Loop()
        let front = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let target = server.address
        let acceptor = LoopBound(
            try Acceptor(loop: loop, socket: front) { descriptor, _ in
                let visitor = Leg(adopting: descriptor, loop: loop)
                guard let local = try? Leg(dialing: target, loop: loop) else { return }
                let link = Link(loop: loop)
                try? link.join(near: visitor)
                try? link.join(far: local)
            },
            on: loop
        )
        loop.start()
        let sent = testBytes(count, seed: 11)
        let received = await blocking { () -> [UInt8]? in
            guard let visitor = try? TestSocket(connectingTo: front.address) else { return nil }
            startThread {
                visitor.write(sent)
                visitor.finish()
            }
            return visitor.readToEnd()
        }
        #expect(received == sent)
        #expect(await eventually { await loop.run { loop.handlerCount } == 1 })
        _ = acceptor
        await loop.stop()
    }

    @Test("an abort of one side of a link aborts the other")
    func linkAbort() async throws {
        let failure = Lock<Int32>(-1)
        let server = try TestServer { socket in
            socket.write([1])
            while let bytes = socket.read(), !bytes.isEmpty {}
            let code = errno
            failure.withLock { $0 = code }
        }
        let loop = try Loop()
        let front = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let target = server.address
        let acceptor = LoopBound(
            try Acceptor(loop: loop, socket: front) { descriptor, _ in
                guard let local = try? Leg(dialing: target, loop: loop) else { return }
                let link = Link(loop: loop)
                try? link.join(near: Leg(adopting: descriptor, loop: loop))
                try? link.join(far: local)
            },
            on: loop
        )
        loop.start()
        await blocking {
            guard let visitor = try? TestSocket(connectingTo: front.address) else { return }
            _ = visitor.read(exactly: 1)
            visitor.reset()
        }
        #expect(await eventually { failure.withLock { $0 } == ECONNRESET })
        _ = acceptor
        await loop.stop()
    }

    @Test("a link whose near socket never stood keeps the far one until its peer breaks it, whatever that sends before")
    func leaving() async throws {
        let loop = try Loop()
        let front = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let gone = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let nowhere = gone.address
        shutdown(gone.descriptor, Int32(SHUT_RDWR))
        let peer = try TestSocket(connectingTo: front.address)
        let descriptor = try #require(Socket.accept(front.descriptor)).descriptor
        peer.write([1])
        peer.finish()
        let told = Lock<[Link.End]>([])
        // Both sockets have news in the first turn.
        let link = Link(loop: loop)
        link.begin(nil) { end in told.withLock { $0.append(end) } }
        try link.join(near: Leg(dialing: nowhere, loop: loop))
        try link.join(far: Leg(adopting: descriptor, loop: loop))
        let bound = LoopBound(link, on: loop)
        loop.start()
        #expect(await eventually { told.withLock { !$0.isEmpty } })
        #expect(await bound.run { $0.isClosed } == false)
        peer.reset()
        #expect(await eventually { await bound.run { $0.isClosed } == true })
        #expect(told.withLock { $0 } == [.dialFailed])
        await loop.stop()
    }

    @Test(
        "an accepted connection sends without delay, and its own address is known",
        arguments: ["127.0.0.1:0", "0.0.0.0:0"]
    )
    func accepted(on address: String) throws {
        let front = try ListeningSocket(SocketAddress(address)!)
        let target = SocketAddress("127.0.0.1:\(front.address.port)")!
        let visitor = try TestSocket(connectingTo: target)
        let descriptor = try #require(Socket.accept(front.descriptor)).descriptor
        defer { close(descriptor) }
        var isWithoutDelay: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        #expect(unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isWithoutDelay, &length) == 0)
        #expect(isWithoutDelay == 1)
        #expect(front.localAddress(of: descriptor) == target)
        _ = visitor
    }

    @Test("of those who connect while a listener ends, none is reset: each is accepted, or finds nobody")
    func listenerEnds() async throws {
        let loop = try Loop()
        loop.start()
        for _ in 0..<3 {
            let made = await loop.run { try? Self.answering(on: loop) }
            let (acceptor, address) = try #require(made ?? nil)
            let answered = Lock(0)
            let visitors = (0..<4).map { _ in
                Task {
                    await blocking { () -> Int in
                        var reset = 0
                        while let visitor = try? TestSocket(connectingTo: address) {
                            if visitor.read(1) == [7] { answered.withLock { $0 += 1 } } else { reset += 1 }
                        }
                        return reset
                    }
                }
            }
            #expect(await eventually { answered.withLock { $0 } > 200 })
            _ = await acceptor.run { $0.finish() }
            for visitor in visitors { #expect(await visitor.value == 0) }
        }
        await loop.stop()
    }

    /// Sends each visitor one byte.
    private static func answering(on loop: Loop) throws -> (LoopBound<Acceptor>, SocketAddress) {
        let front = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let acceptor = try Acceptor(loop: loop, socket: front) { descriptor, _ in answer(descriptor) }
        return (LoopBound(acceptor, on: loop), front.address)
    }

    private static func answer(_ descriptor: Int32) {
        _ = unsafe [UInt8(7)].withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, 1) }
        close(descriptor)
    }

    @Test("accepting survives a full descriptor table")
    func descriptorLimit() async throws {
        let loop = try Loop()
        let accepted = Lock<[Int32]>([])
        let front = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let acceptor = LoopBound(
            try Acceptor(loop: loop, socket: front) { descriptor, _ in accepted.withLock { $0.append(descriptor) } },
            on: loop
        )
        loop.start()
        // The loop's thread gets a descriptor table of its own, and fills it.
        let filled = await loop.run { () -> [Int32] in
            typealias Unshare = @convention(c) (Int32) -> Int32
            guard let symbol = unsafe dlsym(nil, "unshare") else { return [] }
            let cloneFiles: Int32 = 0x400
            guard unsafe unsafeBitCast(symbol, to: Unshare.self)(cloneFiles) == 0 else { return [] }
            var descriptors: [Int32] = []
            while true {
                let descriptor = dup(0)
                guard descriptor >= 0 else { return descriptors }
                descriptors.append(descriptor)
            }
        }
        let descriptors = try #require(filled)
        #expect(!descriptors.isEmpty)
        let visitor = try TestSocket(connectingTo: front.address)
        let refused = await loop.run { Socket.accept(front.descriptor) == nil && errno == EMFILE }
        #expect(refused == true)
        // The visitor is reset, not kept waiting, and nothing was handed on.
        #expect(await blocking { visitor.readToEnd() } == nil)
        #expect(accepted.withLock { $0.isEmpty })
        _ = await loop.run { for descriptor in descriptors { close(descriptor) } }
        let later = try TestSocket(connectingTo: front.address)
        #expect(await eventually { accepted.withLock { $0.count } == 1 })
        later.shut()
        _ = acceptor
        await loop.stop()
    }
}
