import Foundation
import NIOCore
import NIOPosix

/// A visitor's TCP connection.
final class Visitor {
    private let channel: any Channel
    private var inbox: AsyncThrowingStream<ByteBuffer, any Error>.Iterator
    private(set) var received: [UInt8] = []
    /// Whether the peer ended the connection, in order or not, as far as it was read.
    private(set) var isEnded = false

    /// Connects, from `source` when it is given.
    init(_ address: String, _ port: UInt16, from source: String? = nil) async throws {
        let (stream, continuation) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        if let source { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: source, port: 0)) }
        channel =
            try await bootstrap
            .connectTimeout(.seconds(5))
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Inbox(continuation))
                }
            }
            .connect(host: address, port: Int(port)).get()
        inbox = stream.makeAsyncIterator()
    }

    func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }

    /// Half-closes.
    func finish() async throws { try await channel.close(mode: .output).get() }

    func close() async { try? await channel.close().get() }

    /// Reads until `isEnough` holds or the peer ends; returns false at the end.
    @discardableResult
    func read(within limit: Duration = .seconds(10), until isEnough: ([UInt8]) -> Bool) async throws -> Bool {
        let channel = channel
        let guardian = Task {
            try await Task.sleep(for: limit)
            channel.pipeline.fireErrorCaught(NeverHappened(description: "no more bytes within \(limit)"))
        }
        defer { guardian.cancel() }
        while !isEnough(received) {
            do {
                guard let buffer = try await inbox.next(isolation: #isolation) else {
                    isEnded = true
                    return false
                }
                received.append(contentsOf: buffer.readableBytesView)
            } catch {
                isEnded = !(error is NeverHappened)
                throw error
            }
        }
        return true
    }

    /// Everything until the peer's end.
    func readToEnd(within limit: Duration = .seconds(30)) async throws -> [UInt8] {
        try await read(within: limit) { _ in false }
        return received
    }

    /// One HTTP exchange on this connection: status and body, by Content-Length.
    func get(_ path: String, host: String, fields: [String] = []) async throws -> (status: Int, body: String) {
        received = []
        let extra = fields.map { "\($0)\r\n" }.joined()
        try await send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\(extra)\r\n")
        try await read { HTTPAnswer($0) != nil }
        guard let answer = HTTPAnswer(received) else {
            throw NeverHappened(description: "no complete answer: \(String(decoding: received, as: UTF8.self))")
        }
        return (answer.status, answer.body)
    }
}

/// A complete answer with a Content-Length.
struct HTTPAnswer {
    var status: Int
    var head: String
    var body: String

    init?(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        head = String(text[..<end.lowerBound])
        body = String(text[end.upperBound...])
        let words = head.split(separator: " ")
        guard words.count > 1, let status = Int(words[1]) else { return nil }
        self.status = status
        let length = head.lowercased().components(separatedBy: "\r\n").first { $0.hasPrefix("content-length:") }
            .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
        if let length, body.utf8.count < length { return nil }
    }
}

private final class Inbox: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation

    init(_ continuation: AsyncThrowingStream<ByteBuffer, any Error>.Continuation) { self.continuation = continuation }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { continuation.yield(unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { continuation.finish() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { continuation.finish() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { continuation.finish(throwing: error) }
}

/// One request on a connection of its own; nil when the connection was refused, cut or silent.
func fetch(
    _ path: String,
    host: String,
    at address: String,
    _ port: UInt16
) async -> (status: Int, body: String)? {
    guard let visitor = try? await Visitor(address, port) else { return nil }
    let answer = try? await visitor.get(path, host: host, fields: ["Connection: close"])
    await visitor.close()
    return answer
}
