import NIOCore
import NIOPosix
import TestSupport

/// Why a test cannot go on.
struct TestFailure: Error, CustomStringConvertible {
    let description: String
}

/// One HTTP exchange on a connection of its own, with bytes that no client library would send.
enum RawHTTP {
    struct Reply: Sendable, CustomStringConvertible {
        var status: Int
        /// Field names in lower case.
        var headers: [String: String]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
        var description: String { "\(status) \(headers) \(text.prefix(300))" }
    }

    /// Sends the bytes and reads one answer; the connection is then closed.
    static func exchange(port: Int, _ bytes: [UInt8], isHead: Bool = false) async throws -> Reply {
        try await exchanges(port: port, [bytes], isHead: isHead)[0]
    }

    /// Sends several requests one after the other on one connection.
    static func exchanges(port: Int, _ requests: [[UInt8]], isHead: Bool = false) async throws -> [Reply] {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            var iterator = inbound.makeAsyncIterator()
            var received: [UInt8] = []
            var replies: [Reply] = []
            for request in requests {
                try await outbound.write(ByteBuffer(bytes: request))
                while true {
                    if let (reply, length) = parse(received, isHead: isHead) {
                        received.removeFirst(length)
                        replies.append(reply)
                        break
                    }
                    guard let more = try await iterator.next() else {
                        throw TestFailure(description: "the connection closed after \(received.count) bytes")
                    }
                    received += Array(more.readableBytesView)
                }
            }
            return replies
        }
    }

    /// Whether the server closes the connection after these bytes, and what it said before.
    ///
    /// - Parameter isLast: says to the server at once that nothing more comes.
    static func untilClosed(port: Int, _ bytes: [UInt8], isLast: Bool = false) async throws -> [UInt8] {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel,
                        configuration: NIOAsyncChannel.Configuration(isOutboundHalfClosureEnabled: true)
                    )
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            if !bytes.isEmpty { try await outbound.write(ByteBuffer(bytes: bytes)) }
            if isLast { outbound.finish() }
            var received: [UInt8] = []
            for try await more in inbound { received += Array(more.readableBytesView) }
            return received
        }
    }

    /// The answers in what a server said.
    static func replies(_ bytes: [UInt8]) -> [Reply] {
        var rest = bytes
        var replies: [Reply] = []
        while let (reply, length) = parse(rest, isHead: false) {
            replies.append(reply)
            rest.removeFirst(length)
        }
        return replies
    }

    private static func parse(_ bytes: [UInt8], isHead: Bool) -> (Reply, Int)? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        guard words.count >= 2, let status = Int(words[1]) else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        let length = isHead || status == 204 || status == 304 ? 0 : Int(headers["content-length"] ?? "") ?? 0
        guard bytes.count >= end.upperBound + length else { return nil }
        let body = Array(bytes[end.upperBound..<end.upperBound + length])
        return (Reply(status: status, headers: headers, body: body), end.upperBound + length)
    }
}
