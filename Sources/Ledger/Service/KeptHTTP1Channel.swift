internal import HummingbirdCore
internal import Logging
internal import NIOCore

/// HTTP/1.1 connections of which none is dropped unfinished.
///
/// A server that ends forgets connections that it accepted in that moment, and NIO ends the process when a connection's writer is
/// released that nobody finished. So each is kept until its channel has closed, and finished then, which changes nothing for
/// one that was served.
struct KeptHTTP1Channel: ServerChildChannel {
    let base: HTTP1Channel

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        base.setup(channel: channel, logger: logger).map { connection in
            channel.closeFuture.whenComplete { _ in
                Task { try? await connection.executeThenClose { _, _ in } }
            }
            return connection
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}
