internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix

/// A small HTTP/1.1 server on 127.0.0.1 that answers whatever the test wants, well formed or not.
///
/// It exists to play a ledger that lies: endless bodies, slow drips, redirects, broken framing. It lives as long as
/// the closure given to `serving`. The port is chosen by the system.
public final class LyingServer: Sendable {
    public struct Request: Sendable {
        public var method: String
        /// Path and query as sent.
        public var target: String
        /// Field names in lower case.
        public var headers: [String: String]
        public var body: [UInt8]
        /// Which connection it came on, counted from 1.
        public var connection: Int

        public var path: String { String(target.prefix { $0 != "?" }) }

        /// The value of a query member.
        public func query(_ name: String) -> String? {
            guard let mark = target.firstIndex(of: "?") else { return nil }
            for pair in target[target.index(after: mark)...].split(separator: "&") {
                let parts = pair.split(separator: "=", maxSplits: 1)
                if parts.count == 2, parts[0] == name { return String(parts[1]) }
            }
            return nil
        }
    }

    public enum Reply: Sendable {
        /// A well formed response with Content-Length.
        case respond(Int, headers: [(String, String)] = [], body: [UInt8] = [])
        /// These bytes as they are, then the connection closes.
        case raw([UInt8])
        /// A response whose body never ends: the chunk over and over.
        case endless(Int, headers: [(String, String)] = [], chunk: [UInt8])
        /// A well formed response whose body comes in pieces of one byte.
        case drip(Int, body: [UInt8], every: Duration)
        /// The header never ends.
        case endlessHeader
        /// Nothing, until the client goes away.
        case silence
        /// The connection closes without an answer.
        case close
    }

    public typealias Answer = @Sendable (Request) async -> Reply

    public let port: Int
    public var url: String { "http://127.0.0.1:\(port)" }
    private let answer: NIOLockedValueBox<Answer>
    private let log = NIOLockedValueBox<[Request]>([])
    private let connections = NIOLockedValueBox(0)

    private init(port: Int, answer: @escaping Answer) {
        self.port = port
        self.answer = NIOLockedValueBox(answer)
    }

    /// Requests in the order they were read.
    public var requests: [Request] { log.withLockedValue { $0 } }

    /// From the next request on the server answers like this.
    public func setAnswer(_ new: @escaping Answer) {
        answer.withLockedValue { $0 = new }
    }

    /// Serves while `body` runs, then closes everything.
    public static func serving<Result: Sendable>(
        _ answer: @escaping Answer,
        _ body: (LyingServer) async throws -> Result
    ) async throws -> Result {
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>.kept(channel) }
            }
        let server = LyingServer(port: listener.channel.localAddress?.port ?? 0, answer: answer)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.accept(listener) }
            let result: Result
            do {
                result = try await body(server)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
            return result
        }
    }

    /// Serves the same reply to every request while `body` runs.
    public static func serving<Result: Sendable>(
        _ reply: Reply,
        _ body: (LyingServer) async throws -> Result
    ) async throws -> Result {
        let answer: Answer = { _ in reply }
        return try await serving(answer, body)
    }

    private func accept(
        _ listener: NIOAsyncChannel<NIOAsyncChannel<ByteBuffer, ByteBuffer>, Never>
    ) async throws {
        try await listener.executeThenClose { accepted in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in accepted {
                    let number = connections.withLockedValue { count in
                        count += 1
                        return count
                    }
                    // A client that goes away in the middle is what these tests are about.
                    group.addTask { try? await self.serve(connection, number) }
                }
            }
        }
    }

    private func serve(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ number: Int) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var reader = RequestReader(connection: number)
            var bytes = inbound.makeAsyncIterator()
            while true {
                while reader.request == nil {
                    guard let more = try await bytes.next() else { return }
                    reader.feed(more)
                }
                guard let request = reader.take() else { return }
                log.withLockedValue { $0.append(request) }
                let current = answer.withLockedValue { $0 }
                switch await current(request) {
                case .respond(let status, let headers, let body):
                    let head = Self.head(status, headers + [("Content-Length", "\(body.count)")])
                    let isBodiless = status == 204 || status == 304
                    let plain = isBodiless ? Self.head(status, headers) : head + body
                    try await outbound.write(ByteBuffer(bytes: plain))
                case .raw(let bytes):
                    try await outbound.write(ByteBuffer(bytes: bytes))
                    return
                case .endless(let status, let headers, let chunk):
                    try await outbound.write(ByteBuffer(bytes: Self.head(status, headers + [("Connection", "close")])))
                    while true { try await outbound.write(ByteBuffer(bytes: chunk)) }
                case .drip(let status, let body, let pause):
                    let head = Self.head(status, [("Content-Length", "\(body.count)")])
                    try await outbound.write(ByteBuffer(bytes: head))
                    for byte in body {
                        try await Task.sleep(for: pause)
                        try await outbound.write(ByteBuffer(bytes: [byte]))
                    }
                case .endlessHeader:
                    try await outbound.write(ByteBuffer(string: "HTTP/1.1 200 OK\r\n"))
                    while true { try await outbound.write(ByteBuffer(string: "X-More: and more\r\n")) }
                case .silence:
                    while try await bytes.next() != nil {}
                    return
                case .close:
                    return
                }
            }
        }
    }

    private static func head(_ status: Int, _ headers: [(String, String)]) -> [UInt8] {
        var text = "HTTP/1.1 \(status) As The Test Wants\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}

/// Collects bytes into requests with Content-Length bodies.
private struct RequestReader {
    let connection: Int
    private var bytes: [UInt8] = []

    init(connection: Int) { self.connection = connection }

    mutating func feed(_ buffer: ByteBuffer) {
        bytes.append(contentsOf: buffer.readableBytesView)
    }

    var request: LyingServer.Request? { parse()?.request }

    mutating func take() -> LyingServer.Request? {
        guard let (request, length) = parse() else { return nil }
        bytes.removeFirst(length)
        return request
    }

    private func parse() -> (request: LyingServer.Request, length: Int)? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let first = (lines.first ?? "").split(separator: " ")
        guard first.count == 3 else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            headers[line[..<colon].lowercased()] = String(value)
        }
        let length = end.upperBound + (headers["content-length"].flatMap { Int($0) } ?? 0)
        guard bytes.count >= length else { return nil }
        let request = LyingServer.Request(
            method: String(first[0]),
            target: String(first[1]),
            headers: headers,
            body: Array(bytes[end.upperBound..<length]),
            connection: connection
        )
        return (request, length)
    }
}
