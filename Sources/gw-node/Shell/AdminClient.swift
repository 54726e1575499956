import NIOCore
import NIOPosix

/// Asks a running gateway over its admin socket.
struct AdminClient {
    /// Largest answer that is read, in bytes; a table of 10,000 routes has some megabytes.
    private static let answerLimit = 64 << 20
    private static let patience = TimeAmount.seconds(10)

    let path: String

    /// The body of a 200 answer.
    func get(_ resource: String) async throws -> [UInt8] {
        let answer: [UInt8]
        do {
            answer = try await exchange("GET \(resource) HTTP/1.1\r\nHost: gw-node\r\nConnection: close\r\n\r\n")
        } catch let error as IOError {
            throw CommandFailure(
                .unreachable,
                code: "gateway.unreachable",
                "no gateway answers at the admin socket \(path): "
                    + "\(PosixError(call: "connect", number: error.errnoCode).reason); check that `gw-node run` is up"
            )
        } catch is ChannelError {
            throw CommandFailure(
                .unreachable,
                code: "gateway.unreachable",
                "the gateway at the admin socket \(path) did not answer in time; look at its log"
            )
        }
        let separator = Array("\r\n\r\n".utf8)
        guard answer.starts(with: "HTTP/1.1 200 ".utf8), let end = Self.position(of: separator, in: answer) else {
            throw CommandFailure(
                .unreachable,
                code: "gateway.unreachable",
                "what answers at the admin socket \(path) is no gateway of this version; check the path"
            )
        }
        return Array(answer[(end + separator.count)...])
    }

    private func exchange(_ request: String) async throws -> [UInt8] {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(Self.patience)
            .connect(unixDomainSocketPath: path) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(IdleStateHandler(readTimeout: Self.patience))
                    try channel.pipeline.syncOperations.addHandler(CloseWhenIdle())
                    return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var answer: [UInt8] = []
            for try await part in inbound {
                answer.append(contentsOf: part.readableBytesView)
                if answer.count > Self.answerLimit { break }
            }
            return answer
        }
    }

    private static func position(of needle: [UInt8], in bytes: [UInt8]) -> Int? {
        bytes.indices.first { bytes[$0...].starts(with: needle) }
    }
}

/// Ends a connection on which nothing comes any more.
private final class CloseWhenIdle: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.fireErrorCaught(ChannelError.connectTimeout(.seconds(10)))
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
