internal import NIOCore

extension NIOAsyncChannel {
    /// Wraps an accepted connection and keeps it until it has closed: a server that ends drops what it accepted in that moment, and
    /// NIO ends the process when a connection's writer is released that nobody finished.
    static func kept(_ channel: any Channel) throws -> NIOAsyncChannel {
        let connection = try NIOAsyncChannel(wrappingChannelSynchronously: channel)
        channel.closeFuture.whenComplete { _ in
            Task { try? await connection.executeThenClose { _, _ in } }
        }
        return connection
    }
}
