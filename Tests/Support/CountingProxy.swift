internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix

/// Stands between a client and a server on 127.0.0.1 and counts what passes: every byte of HTTP, both ways.
public final class CountingProxy: Sendable {
    public struct Count: Sendable {
        /// Bytes from the clients.
        public var asked = 0
        /// Bytes from the server.
        public var answered = 0
        /// Request lines seen.
        public var requests = 0
    }

    public let port: Int
    public var url: String { "http://127.0.0.1:\(port)" }
    private let counted = NIOLockedValueBox(Count())

    private typealias Pipe = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private init(port: Int) { self.port = port }

    /// What passed so far.
    public var count: Count { counted.withLockedValue { $0 } }

    /// Carries everything to the port of the server while `body` runs.
    public static func serving<Result: Sendable>(
        to server: Int,
        _ body: (CountingProxy) async throws -> Result
    ) async throws -> Result {
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture { try Pipe.kept(channel) }
            }
        let proxy = CountingProxy(port: listener.channel.localAddress?.port ?? 0)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await listener.executeThenClose { accepted in
                    try await withThrowingDiscardingTaskGroup { connections in
                        for try await client in accepted {
                            // An end of a connection on either side is no failure of the proxy.
                            connections.addTask { try? await proxy.carry(client, server) }
                        }
                    }
                }
            }
            defer { group.cancelAll() }
            return try await body(proxy)
        }
    }

    private func carry(_ client: Pipe, _ port: Int) async throws {
        let server = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture { try Pipe(wrappingChannelSynchronously: channel) }
            }
        try await client.executeThenClose { fromClient, toClient in
            try await server.executeThenClose { fromServer, toServer in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        for try await bytes in fromClient {
                            // A request of these tests comes in one piece.
                            let isRequest = bytes.readableBytesView.starts(with: "GET ".utf8)
                            self.counted.withLockedValue {
                                $0.asked += bytes.readableBytes
                                if isRequest { $0.requests += 1 }
                            }
                            try await toServer.write(bytes)
                        }
                    }
                    group.addTask {
                        for try await bytes in fromServer {
                            self.counted.withLockedValue { $0.answered += bytes.readableBytes }
                            try await toClient.write(bytes)
                        }
                    }
                    try await group.next()
                    group.cancelAll()
                }
            }
        }
    }
}
