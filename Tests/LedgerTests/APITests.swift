import Contracts
import Foundation
import TestSupport
import Testing

@testable import Ledger

@Suite("Ledger HTTP interface")
struct APITests {
    @Test("serves the checkpoint with a strong ETag, 304 and a second of caching")
    func checkpoint() async throws {
        try await TestLedger.serving { ledger in
            let reply = try await ledger.request("GET", "/checkpoint")
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == "text/plain; charset=utf-8")
            #expect(reply.headers["cache-control"] == "max-age=1")
            let tag = try #require(reply.headers["etag"])
            #expect(tag == "\"\(Digest.sha256(reply.body).hex.prefix(16))\"")
            for known in [tag, "\"other\", \(tag)", "*", "W/\(tag)"] {
                let again = try await ledger.request("GET", "/checkpoint", headers: [("If-None-Match", known)])
                #expect(again.status == 304)
                #expect(again.headers["etag"] == tag)
            }
            #expect(try await ledger.request("GET", "/checkpoint", headers: [("If-None-Match", "\"x\"")]).status == 200)
            let head = try await ledger.request("HEAD", "/checkpoint")
            #expect(head.status == 200)
            #expect(head.headers["content-length"] == "\(reply.body.count)")
        }
    }

    @Test("answers a long poll as soon as the tree is larger, and 204 when it stays")
    func longPoll() async throws {
        try await TestLedger.serving { ledger in
            let at = ContinuousClock.now
            let same = try await ledger.request("GET", "/checkpoint?after=1&wait=1")
            #expect(same.status == 204)
            #expect(same.headers["cache-control"] == "no-store")
            #expect(ContinuousClock.now - at >= .milliseconds(950))
            let twin = try TestTwin(ledger.ledgerID)
            async let waiting = ledger.request("GET", "/checkpoint?after=1&wait=30")
            try await ledger.log(twin.creation)
            let reply = try await waiting
            #expect(reply.status == 200)
            #expect(reply.headers["cache-control"] == "no-store")
            #expect(try Checkpoint(parsing: reply.body).size == 2)
            #expect(try await ledger.request("GET", "/checkpoint?after=0&wait=30").status == 200)
        }
    }

    @Test("ends long polls at once when it is shut down")
    func shutdown() async throws {
        let start = ContinuousClock.now
        let reply = try await TestLedger.serving { ledger in
            let poll = Task { try await ledger.request("GET", "/checkpoint?after=1&wait=50") }
            // The poll has arrived when a later request on another connection is answered.
            try await eventually("a checkpoint is shown") {
                try await ledger.request("GET", "/checkpoint").status == 200
            }
            return poll
        }
        _ = try? await reply.value
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test("serves tiles, bundles and receipts of the published log, partial ones too, and nothing beyond it")
    func tiles() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            var entries = [twin.creation]
            try await ledger.log(twin.creation)
            for name in 0..<298 {
                let entry = twin.next("name.create", ["name": .string("name-\(name)")])
                entries.append(entry)
                try await ledger.log(entry)
            }
            let checkpoint = try await ledger.checkpoint()
            #expect(checkpoint.size == 300)
            var leaves: [[UInt8]] = []
            for tile in TilePath.all(.entries, size: 300) {
                let reply = try await ledger.request("GET", "/\(tile)")
                #expect(reply.headers["cache-control"] == "public, max-age=31536000, immutable")
                leaves += try #require(EntryBundle.decode(reply.body, count: tile.width))
            }
            #expect(Array(leaves.dropFirst()) == entries.map(\.leaf))
            var tree = CompactRange()
            for leaf in leaves { tree.append(MerkleTree.leafHash(leaf)) }
            #expect(tree.root == checkpoint.root)
            // Any prefix can be proven from the tiles alone.
            var cache: [TilePath: [UInt8]] = [:]
            for level in 0...1 {
                for tile in TilePath.all(.hashes(level: level), size: 300) {
                    cache[tile] = try await ledger.request("GET", "/\(tile)").body
                }
            }
            let reader = TileReader(size: 300) { cache[$0] }
            let range = try Proofs.compactRange(size: 300) { try reader.subtree(level: $0, index: $1) }
            #expect(range == tree)
            #expect(
                try await ledger.request("GET", "/tile/0/000.p/7").body
                    == Array(
                        cache.first { $0.key.index == 0 && $0.key.content == .hashes(level: 0) }!.value.prefix(7 * 32)
                    )
            )
            for path in [
                "/tile/0/001", "/tile/0/001.p/45", "/tile/0/002.p/1", "/tile/1/000", "/tile/1/000.p/2",
                "/tile/2/000.p/1", "/tile/entries/001.p/45", "/tile/entries/002", "/tile/6/000", "/tile/0/0",
                "/tile/0/x000/000", "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/07", "/tile/entries/-01",
                "/tile/0/x999/x999/x999/x999/999", "/receipts/300.tlog-proof", "/receipts/01.tlog-proof",
                "/receipts/.tlog-proof", "/receipts/99999999999999999999.tlog-proof",
            ] {
                let reply = try await ledger.request("GET", path)
                #expect(reply.status == 404, "\(path)")
                #expect(reply.text.contains(#""code":"not.found""#))
                #expect(reply.headers["cache-control"] == "max-age=1")
            }
            for (offset, entry) in entries.enumerated() where offset % 37 == 0 {
                let reply = try await ledger.request("GET", "/receipts/\(offset + 1).tlog-proof")
                #expect(reply.headers["cache-control"] == "max-age=60")
                #expect(try ledger.verify(reply.body, entry) == UInt64(offset) + 1)
            }
        }
    }

    @Test("takes an envelope in any JSON form and logs the one canonical text")
    func anyForm() async throws {
        try await TestLedger.serving { ledger in
            for form in 0..<4 {
                let entry = try TestTwin(ledger.ledgerID).creation
                let (keyID, signature) = entry.signatures[0]
                func urlSafe(_ bytes: [UInt8]) -> String {
                    var text = Base64.encode(bytes)
                    text.replace("+", with: "-")
                    text.replace("/", with: "_")
                    text.replace("=", with: "")
                    return text
                }
                let body =
                    switch form {
                    case 0:
                        """
                        { "signatures" : [ {"sig":"\(Base64.encode(signature))", "keyid":"\(keyID)"} ],
                          "payloadType":"application\\/vnd.webgw.entry.v1+json", "payload":"\(Base64.encode(entry.payload))" }
                        """
                    case 1:
                        #"{"payload":"\#(urlSafe(entry.payload))","payloadType":"\#(entry.payloadType)","signatures":[{"keyid":"\#(keyID)","sig":"\#(urlSafe(signature))"}]}"#
                    case 2:
                        #"{"extra":[{"a":[null,-1.5e3,true]},"x"],"payload":"\#(Base64.encode(entry.payload))","payloadType":"\u0061pplication/vnd.webgw.entry.v1+json","signatures":[{"keyid":"\#(keyID)","sig":"\#(Base64.encode(signature))","cert":{}}]}"#
                    default:
                        String(decoding: entry.leaf, as: UTF8.self) + "\r\n"
                    }
                let reply = try await ledger.post(Array(body.utf8))
                #expect(reply.status == 201, "form \(form): \(reply)")
                let index = try ledger.verify(reply.body, entry)
                #expect(reply.headers["location"] == "/receipts/\(index).tlog-proof")
                #expect(reply.headers["content-type"] == "text/plain; charset=utf-8")
            }
        }
    }

    static let refusals: [(name: String, body: String, status: Int, code: String)] = [
        ("nothing", "", 400, "envelope.noncanonical"),
        ("no JSON", "hello", 400, "envelope.noncanonical"),
        ("an array", "[]", 400, "envelope.noncanonical"),
        ("no members", "{}", 400, "envelope.noncanonical"),
        (
            "a member twice", #"{"payload":"","payload":"","payloadType":"a","signatures":[]}"#, 400,
            "envelope.noncanonical"
        ),
        ("a deep nest", String(repeating: "[", count: 20_000), 400, "envelope.noncanonical"),
        (
            "a deep member", #"{"x":"# + String(repeating: "[", count: 9) + String(repeating: "]", count: 9) + "}", 400,
            "envelope.noncanonical"
        ),
        ("another type", #"{"payload":"e30=","payloadType":"text/plain","signatures":[]}"#, 400, "envelope.type"),
        (
            "something behind it",
            #"{"payload":"e30","payloadType":"application/vnd.webgw.entry.v1+json","signatures":[]} x"#, 400,
            "envelope.noncanonical"
        ),
        (
            "an empty payload", #"{"payload":"","payloadType":"application/vnd.webgw.entry.v1+json","signatures":[]}"#,
            400, "payload.noncanonical"
        ),
        (
            "a payload without members",
            #"{"payload":"e30=","payloadType":"application/vnd.webgw.entry.v1+json","signatures":[]}"#, 400,
            "payload.schema"
        ),
        ("a bare surrogate", #"{"payload":"\ud800","payloadType":"a","signatures":[]}"#, 400, "envelope.noncanonical"),
        ("an unfinished string", #"{"payload":"abc"#, 400, "envelope.noncanonical"),
        (
            "a long payload",
            #"{"payload":""# + String(repeating: "QUFB", count: 5000) + #"","payloadType":"a","signatures":[]}"#, 413,
            "entry.size"
        ),
        (
            "a body over 24 KiB",
            #"{"payload":""# + String(repeating: "QUFB", count: 6200) + #"","payloadType":"a","signatures":[]}"#, 413,
            "body.too_large"
        ),
    ]

    @Test("refuses what is no entry with the code and the status of the list", arguments: refusals)
    func refuses(name: String, body: String, status: Int, code: String) async throws {
        try await TestLedger.serving { ledger in
            let reply = try await ledger.post(Array(body.utf8), headers: body.isEmpty ? [("Content-Length", "0")] : [])
            #expect(reply.status == status, "\(reply)")
            #expect(reply.headers["content-type"] == "application/problem+json")
            let problem = try JSONValue(canonical: reply.body)
            #expect(problem["code"]?.asString == code)
            #expect(problem["type"]?.asString == "urn:webgw:problem:\(code)")
            #expect(problem["status"]?.asInteger == Int64(status))
            #expect(problem["title"]?.asString?.isEmpty == false)
        }
    }

    @Test("gives every code of the fold its status")
    func statuses() {
        let conflicts: Set<Code> = [
            .seqReplay, .seqGap, .versionMismatch, .nameTaken, .farmNameTaken, .portTaken, .nameInUse, .reportUnchanged,
            .genesisDuplicate, .evidenceDuplicate,
        ]
        for code in Code.allCases {
            let name = code.rawValue
            let expected =
                if code == .entrySize {
                    413
                } else if name.hasPrefix("envelope.") || name.hasPrefix("payload.") || code == .txUnsupported {
                    400
                } else if code == .accountUnknown || name.hasPrefix("signer.") || name.hasPrefix("signature.")
                    || name.hasSuffix(".forbidden")
                {
                    403
                } else if conflicts.contains(code) {
                    409
                } else {
                    422
                }
            #expect(ProblemDetails.status(of: code) == expected, "\(code)")
        }
    }

    @Test("tells the fold's verdict with txid and expected sequence")
    func problem() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            try await ledger.log(twin.creation)
            let entry = twin.entry("name.create", ["name": "abc"], seq: 7)
            let reply = try await ledger.post(entry.leaf)
            #expect(reply.status == 409)
            let problem = try JSONValue(canonical: reply.body)
            #expect(problem["txid"]?.asString == entry.id.hex)
            #expect(problem["expected_seq"]?.asInteger == 1)
            let hint = try await ledger.request("GET", "/tx/\(entry.id)")
            #expect(hint.text == #"{"code":"seq.gap","state":"rejected","txid":"\#(entry.id)"}"#)
            let stranger = try TestTwin(ledger.ledgerID).next("name.create", ["name": "abc"])
            #expect(try await ledger.post(stranger.leaf).status == 403)
        }
    }

    @Test("answers 202 at once to who does not want to wait, and says later what became of it")
    func asynchronous() async throws {
        try await TestLedger.serving { ledger in
            let twin = try TestTwin(ledger.ledgerID)
            let reply = try await ledger.post(twin.creation.leaf, headers: [("Prefer", "wait=5, Respond-Async")])
            #expect(reply.status == 202)
            #expect(reply.headers["location"] == "/tx/\(twin.id)")
            let included = #"{"code":"ok","index":1,"state":"included","txid":"\#(twin.id)"}"#
            try await eventually("it is included") {
                try await ledger.request("GET", "/tx/\(twin.id)").text == included
            }
            #expect(try await ledger.request("GET", "/tx/\(twin.id)").headers["cache-control"] == "no-store")
        }
    }

    @Test("describes the ledger")
    func describes() async throws {
        try await TestLedger.serving { ledger in
            let reply = try await ledger.request("GET", "/.well-known/webgw-ledger")
            #expect(reply.headers["cache-control"] == "max-age=300")
            let value = try JSONValue(canonical: reply.body)
            #expect(value["ledger"]?.asString == ledger.ledgerID.hex)
            #expect(value["origin"]?.asString == TestLedger.origin)
            #expect(value["limits"]?["tick_min"]?.asInteger == 60)
        }
    }

    @Test(
        "answers 404 to every path it does not serve",
        arguments: [
            "/", "/checkpoint/", "/Checkpoint", "/keyset/9", "/snapshot/1/manifest", "/evidence", "/v1/unknown",
            "/add-checkpoint", "/tx/abc", "/entries/", "/tile", "/..%2f", "//checkpoint",
        ]
    )
    func notFound(path: String) async throws {
        try await TestLedger.serving { ledger in
            let reply = try await ledger.request("GET", path)
            #expect(reply.status == 404, "\(reply)")
            #expect(reply.text.contains(#""code":"not.found""#))
        }
    }

    @Test("answers 405, 406 and 415 with what it would take")
    func methods() async throws {
        try await TestLedger.serving { ledger in
            let get = try await ledger.request("GET", "/entries")
            #expect(get.status == 405)
            #expect(get.headers["allow"] == "POST")
            let put = try await ledger.request("PUT", "/checkpoint", body: [1])
            #expect(put.status == 405)
            #expect(put.headers["allow"] == "GET, HEAD")
            let html = try await ledger.request(
                "GET",
                "/checkpoint",
                headers: [("Accept", "text/html;q=1, text/plain;q=0")]
            )
            #expect(html.status == 406)
            for accept in ["*/*", "text/*;q=0.1", "text/html, */*;q=0.5", "TEXT/PLAIN"] {
                let reply = try await ledger.request("GET", "/checkpoint", headers: [("Accept", accept)])
                #expect(reply.status == 200, "\(accept)")
            }
            let form = try await ledger.request(
                "POST",
                "/entries",
                headers: [("Content-Type", "text/plain")],
                body: [1]
            )
            #expect(form.status == 415)
            let none = try await ledger.request("POST", "/entries", body: [1])
            #expect(none.status == 415)
        }
    }

    @Test("answers 408 to a body that does not come, and 413 to one that never ends, and closes")
    func slowBodies() async throws {
        var limits = ServiceLimits()
        limits.bodyTime = .milliseconds(300)
        limits.headTime = .milliseconds(600)
        try await TestLedger.serving(limits: limits) { ledger in
            let head = "POST /entries HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            let slow = try await RawHTTP.untilClosed(
                port: ledger.port,
                Array("\(head)Content-Length: 100\r\n\r\n{".utf8)
            )
            #expect(String(decoding: slow, as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
            let chunk = "1000\r\n" + String(repeating: "x", count: 4096) + "\r\n"
            let endless = try await RawHTTP.untilClosed(
                port: ledger.port,
                Array("\(head)Transfer-Encoding: chunked\r\n\r\n".utf8) + Array(String(repeating: chunk, count: 8).utf8)
            )
            #expect(String(decoding: endless, as: UTF8.self).hasPrefix("HTTP/1.1 413 "))
            // Half a request, and nothing at all.
            #expect(try await RawHTTP.untilClosed(port: ledger.port, Array("GET /check".utf8)).isEmpty)
            #expect(try await RawHTTP.untilClosed(port: ledger.port, []).isEmpty)
            #expect(try await ledger.checkpoint().size == 1)
        }
    }

    @Test("limits how fast one address submits, and says when to come back")
    func rates() async throws {
        var limits = ServiceLimits()
        limits.submissionBurst = 3
        limits.submissionsPerSecond = 0.01
        try await TestLedger.serving(limits: limits) { ledger in
            for _ in 0..<3 { #expect(try await ledger.post([0x7B]).status == 400) }
            let reply = try await ledger.post([0x7B])
            #expect(reply.status == 429)
            #expect(reply.text.contains("rate.limited"))
            #expect((Int(reply.headers["retry-after"] ?? "") ?? 0) > 50)
            #expect(try await ledger.request("GET", "/checkpoint").status == 200)
        }
    }

    @Test("keeps a connection for the next request after an answer to a whole request")
    func keepsAlive() async throws {
        try await TestLedger.serving { ledger in
            let get = Array("GET /checkpoint HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            let lost = Array("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
            let replies = try await RawHTTP.exchanges(port: ledger.port, [get, lost, get])
            #expect(replies.map(\.status) == [200, 404, 200])
        }
    }
}

@Suite("RateLimiter")
struct APIRateLimiterTests {
    @Test("gives each address its own bucket, which fills with time")
    func buckets() {
        let limiter = RateLimiter(perSecond: 2, burst: 2, capacity: 100)
        let start = ContinuousClock.now
        #expect(limiter.take("a", now: start) == nil)
        #expect(limiter.take("a", now: start) == nil)
        #expect(limiter.take("a", now: start) == 1)
        #expect(limiter.take("b", now: start) == nil)
        #expect(limiter.take("a", now: start + .milliseconds(500)) == nil)
        #expect(limiter.take("a", now: start + .milliseconds(500)) == 1)
    }

    @Test("forgets the longest silent addresses of a full table, not the busy ones")
    func bounded() {
        let limiter = RateLimiter(perSecond: 0.001, burst: 1, capacity: 16)
        let start = ContinuousClock.now
        for number in 0..<16 { _ = limiter.take("old-\(number)", now: start + .milliseconds(number)) }
        #expect(limiter.take("busy", now: start + .seconds(1)) == nil)
        for number in 0..<10 { _ = limiter.take("new-\(number)", now: start + .seconds(2)) }
        #expect(limiter.take("busy", now: start + .seconds(3)) != nil)
        #expect(limiter.take("old-0", now: start + .seconds(3)) == nil)
    }
}
