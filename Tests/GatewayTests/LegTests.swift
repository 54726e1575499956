import Glibc
import Testing

@testable import Gateway

@Suite("Leg")
struct LegTests {
    /// Reads a socket that it dialed; what came until its end, or nil when the dial counted as failed, is told once.
    private final class Reader: Handler {
        private let leg: Leg
        private let tell: ([UInt8]?) -> Void
        private var bytes: [UInt8] = []

        init(_ leg: Leg, _ tell: @escaping ([UInt8]?) -> Void) throws {
            (self.leg, self.tell) = (leg, tell)
            super.init()
            try leg.register(self)
        }

        override func ready(_ events: Events) {
            guard leg.isOpen else { return }
            guard leg.note(events) else { return end(nil) }
            while true {
                switch leg.read({ bytes.append(copying: $0) }) {
                case .bytes: continue
                case .again: return
                case .end, .failed: return end(bytes)
                }
            }
        }

        override func loopStops() { end(bytes) }

        private func end(_ bytes: [UInt8]?) {
            guard leg.isOpen else { return }
            leg.close()
            leg.loop.remove(self)
            tell(bytes)
        }
    }

    @Test(
        "what the peer behind a Unix socket said is read, though it closed before the first event",
        arguments: [false, true]
    )
    func unixPeerIsGone(leavesBytes: Bool) async throws {
        let path = "/tmp/webgw-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
        let listener = try ListeningSocket(.unix(path))
        defer { unsafe unlink(path) }
        let loop = try Loop()
        let told = Lock<[[UInt8]?]>([])
        let leg = try Leg(dialing: .unix(path), loop: loop)
        _ = try Reader(leg) { bytes in told.withLock { $0.append(bytes) } }
        // A peer that closes with bytes unread resets the connection; what it wrote before is still there.
        if leavesBytes { #expect(leg.write([1].span) == 1) }
        do {
            let peer = TestSocket(adopting: try #require(Socket.accept(listener.descriptor)).descriptor)
            #expect(peer.write([4, 2]))
            peer.shut()
        }
        loop.start()
        #expect(await eventually { !told.withLock { $0.isEmpty } })
        #expect(told.withLock { $0 } == [[4, 2]])
        await loop.stop()
    }
}
