import Contracts
import Testing

@testable import Gateway

@Suite("Proof of control of overlay backends")
struct OverlayProofTests {
    private static let second: UInt64 = 1_000_000_000
    private static let hour = 3600 * second
    private static let contract = Digest.sha256([7])

    @Test(
        "takes addresses of the Planetary network with a port, and nothing else",
        arguments: [
            ("[200::1]:80", true), ("[3ff:ffff::1]:443", true), ("[400:1:2::3]:8080", true), ("[5ff::]:1", true),
            ("[1ff:ffff::1]:80", false), ("[600::1]:80", false), ("[::1]:80", false), ("[::]:80", false),
            ("[fe80::1]:80", false), ("[fc00::1]:80", false), ("[fd00::1]:80", false), ("[ff02::1]:80", false),
            ("[::ffff:10.0.0.1]:80", false), ("[2001:db8::1]:80", false), ("127.0.0.1:80", false),
            ("169.254.169.254:80", false), ("10.0.0.1:80", false), ("localhost:80", false), ("[200::1]:0", false),
            ("200::1:80", false), ("[200::1]", false), ("[200::1%1]:80", false), ("unix:/run/x", false), ("", false),
        ]
    )
    func addresses(text: String, isTaken: Bool) {
        #expect((OverlayAddress(text) != nil) == isTaken)
        if isTaken { #expect(OverlayAddress(text)?.description == text) }
    }

    // MARK: Over time

    private func proof(_ answers: [(ProofAnswer, at: UInt64)], now: UInt64) -> OverlayStanding {
        var proof = OverlayProof(now: 0)
        for (answer, time) in answers { proof.note(answer, at: time, recheck: 300 * Self.second) }
        return proof.standing(at: now)
    }

    @Test("a definite absence ends a proof at once; a look that fails keeps it for 72 h and no longer")
    func endings() {
        #expect(proof([], now: 0) == .unknown)
        #expect(proof([(.failed("x"), 0)], now: 1) == .unproven("x"))
        #expect(proof([(.proven, 0)], now: 1) == .proven)
        #expect(proof([(.proven, 0), (.absent("gone"), 5)], now: 6) == .lost("gone"))
        #expect(proof([(.proven, 0), (.failed("down"), 5)], now: 72 * Self.hour) == .silent("down"))
        #expect(proof([(.proven, 0), (.failed("down"), 5)], now: 72 * Self.hour + 1) == .lost("down"))
        #expect(
            proof([(.proven, 0), (.failed("down"), 5), (.absent("no"), 6), (.failed("down"), 7)], now: 8)
                == .lost("down")
        )
        #expect(proof([(.proven, 0), (.own, 5)], now: 6) == .own)
        #expect(proof([(.proven, 0), (.own, 5), (.failed("down"), 6)], now: 7) == .lost("down"))
    }

    @Test("looks again after the re-check, after failures sooner, and never later than the re-check")
    func pauses() {
        var proof = OverlayProof(now: 0)
        proof.note(.proven, at: 10, recheck: 300 * Self.second)
        #expect(proof.nextLook == 10 + 300 * Self.second)
        var pauses: [UInt64] = []
        for _ in 0..<8 {
            proof.note(.failed("x"), at: 0, recheck: 300 * Self.second)
            pauses.append(proof.nextLook / Self.second)
        }
        #expect(pauses == [2, 4, 8, 16, 32, 60, 60, 60])
        proof.note(.absent("x"), at: 0, recheck: Self.second)
        #expect(proof.nextLook == Self.second)
    }

    @Test("a visitor's failed dial brings the next look forward, and never one that is due after a failure")
    func doubts() {
        var proof = OverlayProof(now: 0)
        proof.note(.proven, at: 0, recheck: 300 * Self.second)
        proof.doubt(at: 5)
        #expect(proof.nextLook == 5)
        proof.note(.failed("x"), at: 6, recheck: 300 * Self.second)
        let due = proof.nextLook
        proof.doubt(at: 7)
        #expect(proof.nextLook == due)
    }

    // MARK: Answers

    private func read(_ text: String, ends: Bool = true, cut: Int = 7) -> ProofAnswer? {
        var reader = ProofAnswerReader(contract: Self.contract)
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let part = Array(bytes[offset..<min(offset + cut, bytes.count)].prefix(reader.room))
            if let answer = reader.take(part.span) { return answer }
            offset += part.count
        }
        return ends ? reader.end() : nil
    }

    @Test("takes exactly the contract's id, however it is framed and cut", arguments: [1, 7, 4096])
    func proven(cut: Int) {
        let id = Self.contract.hex
        #expect(read("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n\(id)", ends: false, cut: cut) == .proven)
        #expect(read("HTTP/1.0 200 OK\r\n\r\n\(id)", cut: cut) == .proven)
        #expect(
            read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n\(id)\r\n0\r\n\r\n", ends: false, cut: cut)
                == .proven
        )
        #expect(
            read(
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n\(id)",
                ends: false,
                cut: cut
            ) == .proven
        )
    }

    @Test(
        "anything else is a definite absence",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\nID\n", "HTTP/1.1 200 OK\r\n\r\nID\n",
            "HTTP/1.1 200 OK\r\n\r\nIDID",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n\(String(repeating: "0", count: 64))",
            "HTTP/1.1 302 Found\r\nLocation: /proof\r\nContent-Length: 64\r\n\r\nID",
            "HTTP/1.1 404 Not Found\r\n\r\nID",
            "HTTP/1.1 201 Created\r\nContent-Length: 64\r\n\r\nID", "SSH-2.0-OpenSSH\r\n", "ID",
            "HTTP/1.1 200 OK\r\nX: \(String(repeating: "a", count: 20_000))",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\(String(repeating: "1;ext=\(String(repeating: "e", count: 90))\r\nx\r\n", count: 200))",
        ]
    )
    func absent(answer: String) throws {
        let said = try #require(read(answer.replacing("ID", with: Self.contract.hex)))
        guard case .absent = said else {
            Issue.record("\(said)")
            return
        }
    }

    @Test(
        "an answer that breaks off, and a server that fails, count neither for nor against",
        arguments: [
            "", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\nab", "HTTP/1.1 503 Unavailable\r\n\r\n",
            "HTTP/1.1 500 Oops\r\nContent-Length: 64\r\n\r\nID", "HTTP/1.1 429 Slow Down\r\n\r\n",
        ]
    )
    func failed(answer: String) throws {
        let said = try #require(read(answer.replacing("ID", with: Self.contract.hex)))
        guard case .failed = said else {
            Issue.record("\(said)")
            return
        }
    }

    @Test("asks on the backend's own address, in plain words, and follows nothing")
    func request() throws {
        let address = try #require(OverlayAddress("[200:db8::2]:8080"))
        let subject = OverlaySubject(contract: Self.contract, address: address, isTLS: false)
        let text = String(decoding: ProofAnswerReader.request(subject), as: UTF8.self)
        #expect(text.hasPrefix("GET /.well-known/webgw/\(Self.contract.hex) HTTP/1.1\r\nHost: [200:db8::2]:8080\r\n"))
        #expect(text.hasSuffix("\r\n\r\n"))
    }
}
