import Contracts
import TestSupport
import Testing

@testable import Ledger

@Suite("POST /entries on one connection")
struct APISubmissionTests {
    private static let get = Array("GET /checkpoint HTTP/1.1\r\nHost: a\r\n\r\n".utf8)

    private static func post(_ body: [UInt8], _ fields: String = "", target: String = "/entries") -> [UInt8] {
        let head =
            "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\(fields)"
            + "Content-Length: \(body.count)\r\n\r\n"
        return Array(head.utf8) + body
    }

    @Test("answers requests that came together in their order, whoever answers them")
    func pipelined() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            let names = (0..<3).map { twin.next("name.create", ["name": .string("n-\($0)")]).leaf }
            let bytes =
                Self.get + Self.post(twin.creation.leaf) + Self.get + Self.get + Self.post(names[0])
                + Self.post([0x7B]) + Self.post(names[1]) + Self.get + Self.post(names[2], "Connection: close\r\n")
            let replies = RawHTTP.replies(try await RawHTTP.untilClosed(port: ledger.port, bytes))
            #expect(replies.map(\.status) == [200, 201, 200, 200, 201, 400, 201, 200, 201])
            #expect(replies.map { $0.headers["connection"] == "close" }.firstIndex(of: true) == 8)
            // A checkpoint that was asked for behind an entry covers it.
            let sizes = try [0, 2, 7].map { try Checkpoint(parsing: replies[$0].body).size }
            #expect(sizes == [1, 2, 4])
            #expect(replies.allSatisfy { $0.headers["date"]?.hasSuffix(" GMT") ?? false })
        }
    }

    @Test("takes a target with a query, or in absolute form, for the same resource")
    func targets() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            let requests = ["/entries?", "http://ledger.test/entries"].map {
                Self.post(twin.creation.leaf, target: $0)
            }
            let replies = try await RawHTTP.exchanges(port: ledger.port, requests)
            #expect(replies.map(\.status) == [201, 200])
        }
    }

    @Test("answers a client that has closed its side of the connection, and then closes too")
    func halfClosed() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            let bytes = try await RawHTTP.untilClosed(
                port: ledger.port,
                Self.post(twin.creation.leaf),
                isLast: true
            )
            #expect(RawHTTP.replies(bytes).map(\.status) == [201])
        }
    }

    @Test("gives 400 to what follows an entry and is no HTTP, behind the entry's own answer")
    func garbageBehind() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            let bytes = try await RawHTTP.untilClosed(
                port: ledger.port,
                Self.post(twin.creation.leaf) + Array("no HTTP\r\n\r\n".utf8)
            )
            #expect(RawHTTP.replies(bytes).map(\.status) == [201, 400])
        }
    }

    @Test("answers what is under way before it stops")
    func stopping() async throws {
        let plan = FaultyLog.Plan()
        let made = try TestLedger.Made()
        var limits = ServiceLimits()
        limits.submissionWait = .seconds(1)
        let creation = try TestTwin(made.ledgerID).creation
        let waiting = try await made.serving(limits: limits, interpose: plan.interpose) { ledger in
            try await eventually("a checkpoint is shown") {
                try await ledger.request("GET", "/checkpoint").status == 200
            }
            plan.fail(.permitSigning, .before, count: .max)
            let waiting = Task { [port = ledger.port] in
                try await RawHTTP.untilClosed(port: port, Self.post(creation.leaf))
            }
            try await eventually("the entry is logged") { plan.met > 0 }
            return waiting
        }
        #expect(RawHTTP.replies(try await waiting.value).map(\.status) == [202])
    }

    @Test("writes dates as HTTP does")
    func dates() {
        let date = HTTPDate()
        #expect(date.field(at: 0) == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(date.field(at: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(date.field(at: 1_709_251_199) == "Thu, 29 Feb 2024 23:59:59 GMT")
        #expect(date.field(at: 4_102_444_800) == "Fri, 01 Jan 2100 00:00:00 GMT")
        #expect(date.field(at: 4_107_542_400) == "Mon, 01 Mar 2100 00:00:00 GMT")
    }
}
