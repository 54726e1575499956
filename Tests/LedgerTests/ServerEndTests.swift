import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Ledger

@Suite("A ledger's server that ends")
struct ServerEndTests {
    @Test("is not torn down by clients who connect in that moment")
    func connecting() async throws {
        let made = try TestLedger.Made()
        for _ in 0..<20 {
            let connected = NIOLockedValueBox(0)
            let (ports, ready) = AsyncStream.makeStream(of: Int.self)
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let service = try LedgerService(
                directory: made.directory,
                listen: HTTPService.Listen(host: "127.0.0.1", port: 0),
                dev: true,
                limits: ServiceLimits(),
                clock: { made.clock.now },
                interpose: { $0 },
                logger: logger,
                onReady: { _, port in ready.yield(port) }
            )
            // As when another part of it fails: nothing is told to the server but that it is over.
            let running = Task { try await service.run() }
            let port = try #require(await ports.first { _ in true })
            let clients = (0..<8).map { _ in Task { await Self.connect(to: port, counting: connected) } }
            try await eventually("clients come and go") { connected.withLockedValue { $0 } > 100 }
            running.cancel()
            for client in clients { await client.value }
            _ = try? await running.value
        }
        try made.check()
    }

    /// Connects and leaves, again and again, until nobody listens.
    private static func connect(to port: Int, counting connected: NIOLockedValueBox<Int>) async {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        while let channel = try? await bootstrap.connect(host: "127.0.0.1", port: port).get() {
            connected.withLockedValue { $0 += 1 }
            channel.close(promise: nil)
        }
    }
}
