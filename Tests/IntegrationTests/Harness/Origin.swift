import Foundation
import NIOCore
import NIOPosix

/// A workload: a server on a loopback port, for HTTP or raw bytes.
final class Origin: Sendable {
    enum Kind: Sendable {
        /// Answers every request with 200 and `text`; keeps the connection unless told to close. `GET /bytes/N` answers N bytes,
        /// `GET /head` answers the head as it came, `POST` answers the count of body bytes.
        case http(text: String)
        /// Sends back what comes, and half-closes when the peer did.
        case echo
        /// Accepts and never reads.
        case stuck
    }

    let port: UInt16
    let address: String
    private let channel: any Channel

    static func start(_ kind: Kind, address: String = "127.0.0.1") async throws -> Origin {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 4096)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    switch kind {
                    case .http(let text): try channel.pipeline.syncOperations.addHandler(HTTPOrigin(text))
                    case .echo:
                        try channel.pipeline.syncOperations.addHandler(EchoOrigin())
                    case .stuck: channel.setOption(.autoRead, value: false).whenComplete { _ in }
                    }
                }
            }
        let channel = try await bootstrap.bind(host: address, port: 0).get()
        return Origin(address: address, port: UInt16(channel.localAddress!.port!), channel: channel)
    }

    private init(address: String, port: UInt16, channel: any Channel) {
        self.address = address
        self.port = port
        self.channel = channel
    }

    var target: String { "\(address):\(port)" }

    func stop() async { try? await channel.close() }
}

private final class EchoOrigin: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }
    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed? = event as? ChannelEvent else { return }
        // Closing the output drops what is not written yet: it has to come after that.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            context.close(mode: .output, promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Just enough of HTTP/1.1 for well-formed requests from a gateway.
private final class HTTPOrigin: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let text: String
    private var pending = ByteBuffer()
    private var bodyLeft = 0
    private var bodySeen = 0
    private var isClosing = false

    init(_ text: String) { self.text = text }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        while buffer.readableBytes > 0 || pending.readableBytes > 0 {
            if bodyLeft > 0 {
                let count = min(bodyLeft, buffer.readableBytes)
                buffer.moveReaderIndex(forwardBy: count)
                bodyLeft -= count
                bodySeen += count
                if bodyLeft > 0 { return }
                answer(context, "\(bodySeen)")
                continue
            }
            pending.writeBuffer(&buffer)
            guard let end = Self.headEnd(pending.readableBytesView) else { return }
            let head = pending.readString(length: end)!
            buffer = pending
            pending = ByteBuffer()
            request(context, head)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func request(_ context: ChannelHandlerContext, _ head: String) {
        let lines = head.components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        func value(_ name: String) -> String? {
            lines.first { $0.lowercased().hasPrefix("\(name):") }
                .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
        }
        isClosing = value("connection")?.lowercased() == "close"
        let path = words.count > 1 ? String(words[1]) : "/"
        if words[0] == "POST" {
            bodyLeft = Int(value("content-length") ?? "0") ?? 0
            bodySeen = 0
            if bodyLeft == 0 { answer(context, "0") }
        } else if path == "/head" {
            answer(context, head)
        } else if path.hasPrefix("/bytes/"), let count = Int(path.dropFirst(7)) {
            respond(context, count: count)
            let chunk = context.channel.allocator.buffer(repeating: 0x61, count: 65_536)
            var left = count
            while left > 0 {
                let slice = chunk.getSlice(at: 0, length: min(left, 65_536))!
                context.write(wrapOutboundOut(slice), promise: nil)
                left -= slice.readableBytes
            }
            context.flush()
        } else {
            answer(context, text)
        }
    }

    private func answer(_ context: ChannelHandlerContext, _ body: String) {
        respond(context, count: body.utf8.count)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: body)), promise: nil)
        if isClosing { context.close(promise: nil) }
    }

    private func respond(_ context: ChannelHandlerContext, count: Int) {
        let connection = isClosing ? "Connection: close\r\n" : ""
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: \(count)\r\n\(connection)\r\n"
        context.write(wrapOutboundOut(ByteBuffer(string: head)), promise: nil)
    }

    private static func headEnd(_ view: ByteBufferView) -> Int? {
        var run = 0
        for (offset, byte) in view.enumerated() {
            let wanted: UInt8 = run % 2 == 0 ? 13 : 10
            run = byte == wanted ? run + 1 : (byte == 13 ? 1 : 0)
            if run == 4 { return offset + 1 }
        }
        return nil
    }
}
