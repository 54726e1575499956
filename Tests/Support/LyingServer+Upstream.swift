internal import NIOCore
internal import NIOPosix

extension LyingServer {
    /// What a real server answered.
    public struct Upstream: Sendable {
        public var status: Int
        /// Field names in lower case, without those that belong to one connection.
        public var headers: [(String, String)]
        public var body: [UInt8]

        /// The same answer as a reply; change `body` before that to lie.
        public var reply: Reply { .respond(status, headers: headers, body: body) }
    }

    /// Carries a request to a real server on 127.0.0.1 and returns its answer; nil if it gives none.
    ///
    /// With this a lying server stands between real processes and lies only where a test wants it.
    public static func forward(_ request: Request, to port: Int) async -> Upstream? {
        var head = "\(request.method) \(request.target) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
        for (name, value) in request.headers where !["host", "connection", "accept-encoding"].contains(name) {
            head += "\(name): \(value)\r\n"
        }
        let bytes = Array((head + "\r\n").utf8) + request.body
        guard let answer = try? await exchange(bytes, port) else { return nil }
        return parse(answer)
    }

    private static func exchange(_ request: [UInt8], _ port: Int) async throws -> [UInt8] {
        let connection = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await connection.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: request))
            var answer: [UInt8] = []
            for try await more in inbound {
                answer.append(contentsOf: more.readableBytesView)
                // A server that keeps the connection open has said all it will.
                if isComplete(answer) { break }
            }
            return answer
        }
    }

    private static func isComplete(_ answer: [UInt8]) -> Bool {
        guard let (status, headers, body) = split(answer) else { return false }
        if status == 204 || status == 304 { return true }
        guard let length = headers.first(where: { $0.0 == "content-length" }).flatMap({ Int($0.1) }) else {
            return body.suffix(5).elementsEqual("0\r\n\r\n".utf8)
        }
        return body.count >= length
    }

    private static func parse(_ answer: [UInt8]) -> Upstream? {
        guard let (status, headers, body) = split(answer) else { return nil }
        let isChunked = headers.contains { $0.0 == "transfer-encoding" }
        let own = ["content-length", "transfer-encoding", "connection", "keep-alive"]
        return Upstream(
            status: status,
            headers: headers.filter { !own.contains($0.0) },
            body: isChunked ? unchunked(body) : Array(body)
        )
    }

    private static func split(_ answer: [UInt8]) -> (Int, [(String, String)], ArraySlice<UInt8>)? {
        guard let end = answer.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: answer[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else { return nil }
        let headers = lines.dropFirst().compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (line[..<colon].lowercased(), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        return (status, headers, answer[end.upperBound...])
    }

    private static func unchunked(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var (body, rest) = ([UInt8](), bytes)
        while let end = rest.firstRange(of: Array("\r\n".utf8)) {
            let text = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
            guard let size = Int(text.prefix { $0 != ";" }, radix: 16), size > 0 else { break }
            body += rest[end.upperBound...].prefix(size)
            rest = rest[end.upperBound...].dropFirst(size + 2)
        }
        return body
    }
}
