internal import Hummingbird
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOPosix

/// What the HTTP servers of ledger and witness have in common.
public enum HTTPService {
    /// Address of an HTTP server; port 0 lets the system choose.
    public struct Listen: Sendable, Hashable {
        public var host: String
        public var port: Int

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// An HTTP/1.1 server with the limits of the service on every connection.
    ///
    /// - Parameter handlers: for each connection, handlers that may answer requests before the responder sees them.
    static func application<Responder: HTTPResponder>(
        _ responder: Responder,
        _ listen: Listen,
        _ limits: ServiceLimits,
        on group: MultiThreadedEventLoopGroup,
        inFront handlers: @escaping @Sendable () -> [any RemovableChannelHandler] = { [] },
        _ logger: Logger,
        _ onReady: @escaping @Sendable (String, Int) async -> Void
    ) -> Application<Responder> {
        // The framework's own lines speak of its parts, not of a ledger.
        var quiet = logger
        if quiet.logLevel > .debug { quiet.logLevel = .error }
        let connections = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ConnectionDeadlines(limits: limits)] + handlers(),
            httpDecoderConfiguration: HTTP1Channel.Configuration.DecoderConfiguration(
                maxHeaderFieldSize: limits.headerBytes,
                maxHeaderListSize: limits.headerBytes,
                maxHeaderFieldCount: limits.headerFields
            )
        )
        return Application(
            responder: responder,
            server: HTTPServerBuilder { responder in
                KeptHTTP1Channel(base: HTTP1Channel(responder: responder, configuration: connections))
            },
            configuration: ApplicationConfiguration(
                address: .hostname(listen.host, port: listen.port),
                backlog: 1024,
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections, logger: quiet)
            ),
            onServerRunning: { channel in await onReady(listen.host, channel.localAddress?.port ?? 0) },
            eventLoopGroupProvider: .shared(group),
            logger: quiet
        )
    }

    /// What a request needs to know of its connection.
    struct Context: InitializableFromSource {
        let address: SocketAddress?

        init(source: ApplicationRequestContextSource) {
            address = source.channel.remoteAddress
        }
    }

    /// The whole body of a request.
    ///
    /// - Throws: `Problem` 413 for more than `limit` bytes, 408 when it does not arrive within `time`.
    static func body(of request: Request, limit: Int, within time: Duration) async throws -> [UInt8] {
        let tooLarge = Problem(ProblemDetails(413, "body.too_large", "the body has at most \(limit) bytes"))
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLarge }
        return try await withThrowingTaskGroup(of: [UInt8].self) { group in
            let stream = request.body
            group.addTask {
                do {
                    return [UInt8](buffer: try await stream.collect(upTo: limit))
                } catch is NIOTooManyBytesError {
                    throw tooLarge
                }
            }
            group.addTask {
                try await Task.sleep(for: time)
                throw Problem(ProblemDetails(408, "request.timeout", "the body did not arrive within \(time)"))
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }
}
