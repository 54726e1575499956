import Logging
import TestSupport
import Testing

@testable import Ledger

@Suite("LedgerClient")
struct ClientTests {
    private static let small: ClientLimits = {
        var limits = ClientLimits()
        limits.checkpointBytes = 4096
        limits.bundleBytes = 4096
        limits.headerBytes = 4096
        return limits
    }()

    private static let drip = LyingServer.Reply.drip(
        200,
        body: [UInt8](repeating: 1, count: 100),
        every: .milliseconds(100)
    )
    private static let gzipped = [("Content-Encoding", "gzip")]

    struct Refusal: CustomTestStringConvertible {
        let testDescription: String
        let reply: LyingServer.Reply
        let code: LedgerClientError.Code
        let deadline: Duration

        init(
            _ name: String,
            _ reply: LyingServer.Reply,
            _ code: LedgerClientError.Code,
            deadline: Duration = .seconds(30)
        ) {
            self.deadline = deadline
            testDescription = name
            self.reply = reply
            self.code = code
        }
    }

    private func fetch(
        _ reply: LyingServer.Reply,
        limits: ClientLimits = small,
        path: String = "/thing"
    ) async throws -> Result<[UInt8], LedgerClientError> {
        try await LyingServer.serving(reply) { server in
            let client = try LedgerClient(urls: [server.url], limits: limits)
            defer { client.shutdown() }
            do throws(LedgerClientError) {
                let limit = limits.bundleBytes
                return .success(
                    try await client.resource(path, from: client.sources[0], limit: limit, acceptsGzip: true)
                )
            } catch {
                return .failure(error)
            }
        }
    }

    @Test("gives the body of a well formed answer, plain or gzipped")
    func bodies() async throws {
        let body = Array("verify me".utf8)
        #expect(try await fetch(.respond(200, body: body)).get() == body)
        let zipped = LyingServer.Reply.respond(200, headers: [("Content-Encoding", "gzip")], body: Gzip.stored(body))
        #expect(try await fetch(zipped).get() == body)
    }

    @Test(
        "ends what breaks a limit or the protocol, with the code and the source in the message",
        arguments: [
            Refusal("long body", .respond(200, body: [UInt8](repeating: 7, count: 4097)), .tooLarge),
            Refusal("endless body", .endless(200, chunk: [UInt8](repeating: 7, count: 65536)), .tooLarge),
            Refusal("bomb", .respond(200, headers: gzipped, body: Gzip.bomb(50_000_000)), .tooLarge),
            Refusal("endless bomb", .endless(200, headers: gzipped, chunk: Gzip.bomb(1_000_000)), .tooLarge),
            Refusal("endless header", .endlessHeader, .tooLarge),
            Refusal("slow drip", drip, .timeout, deadline: .milliseconds(600)),
            Refusal("silence", .silence, .timeout, deadline: .milliseconds(600)),
            Refusal("no answer", .close, .unreachable),
            Refusal("another protocol", .raw(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8)), .malformed),
            Refusal("half", .raw(Array("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".utf8)), .malformed),
            Refusal("redirect", .respond(301, headers: [("Location", "http://127.0.0.1:1/")]), .redirect),
            Refusal("redirect to a file", .respond(302, headers: [("Location", "file:///etc/passwd")]), .redirect),
            Refusal("not found", .respond(404), .notFound),
            Refusal("internal error", .respond(500), .status),
            Refusal("overload", .respond(503), .unavailable),
        ]
    )
    func refusals(refusal: Refusal) async throws {
        let code = refusal.code
        var limits = Self.small
        limits.deadline = refusal.deadline
        let result = try await fetch(refusal.reply, limits: limits)
        let error = try #require(result.failure)
        #expect(error.code == code, "\(error)")
        #expect(error.message.contains("/thing"))
        #expect(error.source.hasPrefix("http://127.0.0.1:"))
    }

    @Test("bounds the bytes on the wire of an encoded body that never decodes to anything")
    func hollowGzip() async throws {
        let hollow = Gzip.hollow
        let chunk = [[UInt8]](repeating: hollow.rest, count: 10_000).flatMap { $0 }
        var limits = Self.small
        limits.deadline = .seconds(20)
        let head = Array("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".utf8)
        let many = [[UInt8]](repeating: chunk, count: 100).flatMap { $0 }
        let result = try await fetch(.raw(head + hollow.first + many), limits: limits)
        #expect(result.failure?.code == .tooLarge)
    }

    @Test("reports a source that nobody listens on as unreachable")
    func unreachable() async throws {
        let gone = try await LyingServer.serving(.close) { $0.url }
        let client = try LedgerClient(urls: [gone], limits: Self.small)
        defer { client.shutdown() }
        await #expect(throws: LedgerClientError.self) { try await client.checkpoint() }
    }

    @Test("asks the sources in turn and stays with the one that answers")
    func turns() async throws {
        try await LyingServer.serving(.respond(500)) { bad in
            try await LyingServer.serving(.respond(200, body: [1])) { good in
                let client = try LedgerClient(urls: [bad.url, good.url], limits: Self.small)
                defer { client.shutdown() }
                for _ in 0..<3 { #expect(try await client.checkpoint() == [1]) }
                #expect(bad.requests.count == 1)
                #expect(good.requests.count == 3)
            }
        }
    }

    @Test("keeps one connection for many requests")
    func reuse() async throws {
        try await LyingServer.serving(.respond(200, body: [1])) { server in
            let client = try LedgerClient(urls: [server.url])
            defer { client.shutdown() }
            for _ in 0..<20 { _ = try await client.checkpoint() }
            #expect(Set(server.requests.map(\.connection)) == [1])
        }
    }

    @Test("sends the ETag it has and takes 304, and in a long poll 204, as no news")
    func noNews() async throws {
        let answer: LyingServer.Answer = { request in
            if request.headers["if-none-match"] == "\"abc\"" { return .respond(304) }
            if request.query("after") == "7", request.query("wait") == "2" { return .respond(204) }
            return .respond(200, headers: [("ETag", "\"abc\"")], body: [9])
        }
        try await LyingServer.serving(answer) { server in
            let client = try LedgerClient(urls: [server.url], limits: Self.small)
            defer { client.shutdown() }
            let source = client.sources[0]
            #expect(try await client.checkpoint(from: source) == .note([9], etag: "\"abc\""))
            #expect(try await client.checkpoint(from: source, etag: "\"abc\"") == .notModified)
            #expect(try await client.checkpoint(from: source, after: 7, wait: 2) == .nothingNewer)
        }
    }

    @Test("ends a request at once when its task is cancelled")
    func cancellation() async throws {
        try await LyingServer.serving(.silence) { server in
            var limits = ClientLimits()
            limits.deadline = .seconds(60)
            let client = try LedgerClient(urls: [server.url], limits: limits)
            defer { client.shutdown() }
            let start = ContinuousClock.now
            let request = Task { try await client.checkpoint() }
            while server.requests.isEmpty { await Task.yield() }
            request.cancel()
            await #expect { try await request.value } throws: { ($0 as? LedgerClientError)?.code == .cancelled }
            #expect(ContinuousClock.now - start < .seconds(10))
        }
    }

    @Test("fails open and later requests as closed after shutdown")
    func shutdown() async throws {
        try await LyingServer.serving(.silence) { server in
            let client = try LedgerClient(urls: [server.url])
            let request = Task { try await client.checkpoint() }
            while server.requests.isEmpty { await Task.yield() }
            client.shutdown()
            await #expect { try await request.value } throws: { ($0 as? LedgerClientError)?.code == .closed }
            await #expect { try await client.checkpoint() } throws: { ($0 as? LedgerClientError)?.code == .closed }
        }
    }

    @Test(
        "refuses what is no http or https base URL",
        arguments: [
            "", "ledger.example.org", "ftp://a.example", "file:///etc/passwd", "http://", "http://u:p@a.example",
            "http://a.example/?q=1", "http://a.example/#f", "http://a b.example", "https://a.example/\u{e4}",
        ]
    )
    func badURLs(url: String) {
        #expect { try LedgerClient(urls: [url]) } throws: { ($0 as? LedgerClientError)?.code == .url }
    }

    @Test("ignores trailing slashes of a base URL")
    func slashes() throws {
        #expect(try LedgerClient.baseURL("https://a.example/log//") == "https://a.example/log")
    }
}

@Suite("Backoff")
struct ClientBackoffTests {
    @Test("doubles its bound up to the cap and starts anew after a success")
    func bounds() {
        var backoff = Backoff(base: .milliseconds(250), cap: .seconds(60))
        let waits = (0..<12).map { _ in backoff.failed(fraction: 1) }
        #expect(waits.prefix(4) == [.milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2)])
        #expect(waits.suffix(3).allSatisfy { $0 == .seconds(60) })
        backoff.succeeded()
        #expect(backoff.failed(fraction: 1) == .milliseconds(250))
        #expect(backoff.failed(fraction: 0) == .zero)
        #expect(backoff.failed(fraction: 0, atLeast: .seconds(3)) == .seconds(3))
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}

@Suite("SourceSchedule")
struct ClientScheduleTests {
    private let unreachable = LedgerRefusal(.unreachable, code: "client.timeout", source: "", message: "")
    private let refused = LedgerRefusal(.refused, code: "entries.mismatch", source: "", message: "")

    private func schedule() -> SourceSchedule {
        SourceSchedule(count: 2, first: .seconds(1), unreachableCap: .seconds(5), refusedCap: .seconds(60))
    }

    @Test("asks the ledger first, a mirror while it pauses, and nobody while all pause")
    func order() {
        var schedule = schedule()
        #expect(schedule.ready(at: .zero) == 0)
        schedule.failed(0, unreachable, at: .zero, fraction: 1)
        #expect(schedule.ready(at: .zero) == 1)
        schedule.failed(1, refused, at: .milliseconds(500), fraction: 1)
        #expect(schedule.ready(at: .milliseconds(600)) == nil)
        #expect(schedule.pause(at: .milliseconds(600)) == .milliseconds(400))
        #expect(schedule.ready(at: .seconds(1)) == 0)
        schedule.succeeded(1)
        #expect(schedule.ready(at: .milliseconds(600)) == 1)
    }

    @Test("pauses longer after answers that are not believed than after none, and as long as it is asked to")
    func caps() {
        var schedule = schedule()
        for _ in 0..<10 { schedule.failed(0, unreachable, at: .zero, fraction: 1) }
        for _ in 0..<10 { schedule.failed(1, refused, at: .zero, fraction: 1) }
        #expect(schedule.ready(at: .seconds(5)) == 0)
        schedule.failed(0, unreachable, at: .seconds(1000), fraction: 1)
        #expect(schedule.ready(at: .seconds(59)) == nil)
        #expect(schedule.ready(at: .seconds(60)) == 1)
        schedule.succeeded(0)
        var busy = unreachable
        busy.retryAfter = .seconds(30)
        schedule.failed(0, busy, at: .zero, fraction: 0)
        #expect(schedule.ready(at: .seconds(29)) == nil)
        #expect(schedule.ready(at: .seconds(30)) == 0)
    }
}
