import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("FrameParser")
struct MuxFrameTests {
    enum Seen: Equatable {
        case data(UInt32, [UInt8])
        case other(FrameParser.Event)
    }

    /// Feeds the bytes in pieces cut at the given places and joins the parts of DATA.
    static func parse(_ bytes: [UInt8], cuts: [Int], role: TunnelRole = .agent) -> [Seen] {
        var parser = FrameParser(role: role)
        var seen: [Seen] = []
        var start = 0
        for end in cuts + [bytes.count] {
            let piece = Array(bytes[start..<end])
            start = end
            var offset = 0
            reading: while true {
                switch parser.next(piece.span, at: &offset) {
                case .needMore: break reading
                case .data(let stream, let range):
                    if case .data(stream, let before)? = seen.last {
                        seen[seen.count - 1] = .data(stream, before + piece[range])
                    } else {
                        seen.append(.data(stream, Array(piece[range])))
                    }
                case let event: seen.append(.other(event))
                }
            }
        }
        return seen
    }

    static let sample =
        RawFrame.bytes(1, 1, Array("{}".utf8)) + RawFrame.bytes(0, 1, [1, 2, 3, 4, 5])
        + RawFrame.bytes(4, 1, [0, 1, 0, 0]) + RawFrame.bytes(2, 1, [])
        + RawFrame.bytes(3, 3, [0, 6]) + RawFrame.bytes(5, 0, [1, 2, 3, 4, 5, 6, 7, 8])
        + RawFrame.bytes(6, 0, [0, 0, 0, 0, 0, 0, 0, 9])
        + RawFrame.bytes(7, 0, Array("{\"a\":1}".utf8)) + RawFrame.bytes(12, 0, Array("[]".utf8))
        + RawFrame.bytes(8, 5, [9])

    static let expected: [Seen] = [
        .other(.control(.open, stream: 1, Array("{}".utf8))), .data(1, [1, 2, 3, 4, 5]),
        .other(.window(stream: 1, 65536)), .other(.finish(stream: 1)), .other(.reset(stream: 3, code: 6)),
        .other(.ping(0x0102_0304_0506_0708)), .other(.pong(9)),
        .other(.control(.goAway, stream: 0, Array("{\"a\":1}".utf8))),
        .other(.control(.welcome, stream: 0, Array("[]".utf8))), .other(.control(.datagram, stream: 5, [9])),
    ]

    @Test("reads the same frames wherever the bytes are cut")
    func everyCut() {
        for cut in 0...Self.sample.count {
            #expect(Self.parse(Self.sample, cuts: [cut]) == Self.expected, "cut at \(cut)")
        }
        #expect(Self.parse(Self.sample, cuts: Array(1..<Self.sample.count)) == Self.expected)
    }

    @Test(
        "refuses what the format forbids",
        arguments: [
            ("unknown type", RawFrame.bytes(15, 0, [1])),
            ("data without payload", RawFrame.bytes(0, 1, [])),
            ("data beyond 65,536 bytes", RawFrame.bytes(0, 1, [], length: 65537)),
            ("data on the session's stream", RawFrame.bytes(0, 0, [1])),
            ("end with payload", RawFrame.bytes(2, 1, [1])),
            ("reset of the wrong length", RawFrame.bytes(3, 1, [1])),
            ("window of the wrong length", RawFrame.bytes(4, 1, [1, 2, 3])),
            ("ping of the wrong length", RawFrame.bytes(5, 0, [1])),
            ("ping on a stream", RawFrame.bytes(5, 1, [1, 2, 3, 4, 5, 6, 7, 8])),
            ("control beyond 16 KiB", RawFrame.bytes(7, 0, [], length: 16385)),
            ("open on the session's stream", RawFrame.bytes(1, 0, [1])),
            ("hello from the gateway", RawFrame.bytes(11, 0, [1])),
            ("health from the gateway", RawFrame.bytes(9, 0, [1])),
        ]
    )
    func violations(_ name: String, _ bytes: [UInt8]) {
        let seen = Self.parse(bytes, cuts: [])
        guard case .other(.violation)? = seen.last else {
            Issue.record("\(name): \(seen)")
            return
        }
    }

    @Test("refuses open and welcome from an agent", arguments: [UInt8(1), 12])
    func wrongSide(_ type: UInt8) {
        let seen = Self.parse(RawFrame.bytes(type, type == 1 ? 1 : 0, [1]), cuts: [], role: .gateway)
        guard case .other(.violation)? = seen.last else {
            Issue.record("\(seen)")
            return
        }
    }

    @Test("never traps on random bytes, and reads nothing after a violation")
    func randomBytes() {
        for seed in 1...300 as ClosedRange<UInt64> {
            let bytes = testBytes(400, seed: seed)
            let whole = Self.parse(bytes, cuts: [])
            let cut = Self.parse(bytes, cuts: Array(1..<bytes.count))
            #expect(whole == cut, "seed \(seed)")
        }
    }
}

/// `#expect` with a value that a mutating call made.
private func expect<Value: Equatable>(
    _ value: Value,
    _ expected: Value,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, sourceLocation: sourceLocation)
}

@Suite("Liveness and pauses")
struct MuxLivenessTests {
    private let second: UInt64 = 1_000_000_000

    @Test("asks once after 2 s of silence and gives up after 4.5 s")
    func silence() {
        var liveness = Liveness(now: 10 * second)
        expect(liveness.tick(11 * second), .nothing)
        expect(liveness.tick(12 * second - 1), .nothing)
        expect(liveness.tick(12 * second), .ping)
        expect(liveness.tick(14 * second), .nothing)
        expect(liveness.tick(14 * second + second / 2 - 1), .nothing)
        expect(liveness.tick(14 * second + second / 2), .dead)
    }

    @Test(
        "waits for the moment to ask, then for the one to ask again if something is heard, and for the end of the silence"
    )
    func waiting() {
        var liveness = Liveness(now: 10 * second)
        expect(liveness.wait(10 * second), 2 * second)
        expect(liveness.wait(11 * second), second)
        expect(liveness.tick(12 * second), .ping)
        expect(liveness.wait(12 * second), 2 * second)
        expect(liveness.wait(14 * second), second / 2)
        expect(liveness.wait(15 * second), 0)
        expect(liveness.wait(99 * second), 0)
    }

    @Test("anything heard starts the count again")
    func heard() {
        var liveness = Liveness(now: 0)
        expect(liveness.tick(3 * second), .ping)
        liveness.hear(4 * second)
        expect(liveness.tick(5 * second), .nothing)
        expect(liveness.tick(6 * second), .ping)
        expect(liveness.tick(8 * second), .nothing)
        expect(liveness.tick(9 * second), .dead)
    }

    /// A session whose peer only answers, `roundTrip` after each question, until it is gone at `end`. Timers fire on whole slots of 100 ms.
    /// Returns how long the peer was gone when the session was given up.
    private func lasts(roundTrip: UInt64, until end: UInt64) -> Int64 {
        var (now, liveness) = (second, Liveness(now: second))
        var answer = UInt64.max
        while true {
            let slot = TimerWheel.tick
            let next = max(now / slot + 1, (now + liveness.wait(now) + slot - 1) / slot) * slot
            if answer <= next {
                liveness.hear(answer)
                answer = .max
            }
            now = next
            switch liveness.tick(now) {
            case .nothing: break
            case .ping: if now + roundTrip < end { answer = now + roundTrip }
            case .dead: return Int64(now) - Int64(end)
            }
        }
    }

    @Test("a peer that takes 2.3 s to answer lives, and one that is gone is given up within 4.7 s, at any moment")
    func slowPeer() {
        for tenths in UInt64(0)..<24 {
            let roundTrip = max(1, tenths * second / 10)
            for moment in UInt64(0)..<50 {
                let gone = lasts(roundTrip: roundTrip, until: 100 * second + moment * second / 10 + 1)
                #expect((0...4_700_000_000).contains(gone), "round trip \(roundTrip), gone at \(moment) tenths")
            }
        }
    }

    @Test("pauses double up to 30 s, are spread over the whole range, and start again after success")
    func backoff() {
        var backoff = Backoff()
        expect(backoff.next(0.5), .milliseconds(250))
        expect(backoff.next(0.5), .milliseconds(500))
        expect(backoff.next(0), .zero)
        for _ in 0..<100 {
            let pause = backoff.next(0.999)
            #expect(pause < .seconds(30))
        }
        expect(backoff.next(0.5), .seconds(15))
        backoff.reset()
        expect(backoff.next(0.5), .milliseconds(250))
    }

    @Test("a source may begin a burst of handshakes, then so many a second; others are not touched")
    func handshakes() {
        var limit = SourceLimit(burst: 3, perSecond: 2)
        let noisy = SourceLimit.Source.v4(1)
        for _ in 0..<3 { expect(limit.admits(noisy, now: 0), true) }
        expect(limit.admits(noisy, now: 0), false)
        expect(limit.admits(.v4(2), now: 0), true)
        expect(limit.admits(noisy, now: second / 4), false)
        expect(limit.admits(noisy, now: second), true)
    }
}

@Suite("TimerWheel")
struct LoopTimerTests {
    private let millisecond: UInt64 = 1_000_000

    @Test("fires in order, once, never early, and not after cancel")
    func order() {
        let wheel = TimerWheel(now: 0)
        var fired: [Int] = []
        _ = wheel.add(at: 250 * millisecond) { fired.append(2) }
        _ = wheel.add(at: 150 * millisecond) { fired.append(1) }
        let cancelled = wheel.add(at: 200 * millisecond) { fired.append(9) }
        // A later round of the same slot.
        _ = wheel.add(at: 250 * millisecond + 512 * TimerWheel.tick) { fired.append(3) }
        cancelled.cancel()
        wheel.advance(to: 149 * millisecond)
        #expect(fired.isEmpty)
        wheel.advance(to: 300 * millisecond)
        #expect(fired == [1, 2])
        wheel.advance(to: 400 * millisecond)
        #expect(fired == [1, 2])
        #expect(wheel.count == 1)
        wheel.advance(to: 300 * millisecond + 512 * TimerWheel.tick)
        #expect(fired == [1, 2, 3])
        #expect(wheel.count == 0)
        #expect(wheel.timeout(from: 0) == nil)
    }

    @Test("a body may set timers and cancel others that are due in the same step")
    func reentrant() {
        let wheel = TimerWheel(now: 0)
        var fired: [String] = []
        var victim: Timer?
        _ = wheel.add(at: 100 * millisecond) {
            fired.append("first")
            victim?.cancel()
            _ = wheel.add(at: 300 * millisecond) { fired.append("later") }
        }
        victim = wheel.add(at: 200 * millisecond) { fired.append("victim") }
        wheel.advance(to: 200 * millisecond)
        #expect(fired == ["first"])
        wheel.advance(to: 300 * millisecond)
        #expect(fired == ["first", "later"])
    }

    @Test(
        "of very many timers that are due, some fire at once and the rest in the next turns, in order and without a pause"
    )
    func many() {
        let wheel = TimerWheel(now: 0)
        let count = 40 * TimerWheel.mostAtOnce + 1
        var fired: [Int] = []
        var timers = (0..<count).map { number in
            wheel.add(at: UInt64(number % 2 + 1) * 100 * millisecond) { fired.append(number % 2) }
        }
        timers[0].cancel()
        wheel.advance(to: 200 * millisecond)
        #expect(fired.count < count / 2)
        #expect(wheel.timeout(from: 200 * millisecond) == 0)
        // One that is set meanwhile waits for its time, and for its turn.
        timers.append(wheel.add(at: 300 * millisecond) { fired.append(2) })
        timers[1].cancel()
        var turns = 1
        while wheel.timeout(from: 300 * millisecond) == 0, turns < 100 {
            wheel.advance(to: 300 * millisecond)
            turns += 1
        }
        #expect(fired.count == count - 1)
        #expect(fired == fired.sorted())
        #expect(turns >= 40)
        #expect(wheel.timeout(from: 300 * millisecond) == nil)
    }

    @Test("drops timers that are due with those that are not")
    func drop() {
        let wheel = TimerWheel(now: 0)
        var fired = 0
        for _ in 0..<(2 * TimerWheel.mostAtOnce) { _ = wheel.add(at: 100 * millisecond) { fired += 1 } }
        _ = wheel.add(at: 500 * millisecond) { fired += 1 }
        wheel.advance(to: 100 * millisecond)
        wheel.removeAll()
        wheel.advance(to: 1000 * millisecond)
        #expect(fired == TimerWheel.mostAtOnce)
        #expect(wheel.timeout(from: 1000 * millisecond) == nil)
    }
}

@Suite("SocketAddress and ForwardTarget")
struct LoopAddressTests {
    @Test(
        "reads and writes the same text",
        arguments: ["127.0.0.1:8080", "[::1]:80", "[2001:db8::1:2]:65535", "unix:/run/x.sock", "0.0.0.0:0"]
    )
    func roundTrip(_ text: String) {
        #expect(SocketAddress(text)?.description == text)
    }

    @Test("an IPv4 visitor of an IPv6 socket is an IPv4 visitor")
    func mapped() {
        #expect(SocketAddress("[::ffff:192.0.2.1]:5")?.description == "192.0.2.1:5")
    }

    @Test(
        "refuses what is no target",
        arguments: [
            "", "8080", ":80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1]",
            "unix:",
            "tls://unix:/x", "tls://", "tls://127.0.0.1", "https://x:443", "host name:80", "127.0.0:80", "1.2.3.4.5:80",
            "host:80 ", "http://x:80", "[127.0.0.1]:80",
        ]
    )
    func refused(_ text: String) {
        #expect(ForwardTarget(text) == nil)
    }

    @Test(
        "takes the four forms, and three of them over TLS",
        arguments: [
            "127.0.0.1:8080", "unix:/path", "[::1]:80", "db.internal:5432", "tls://127.0.0.1:8443", "tls://[::1]:443",
            "tls://db.internal:5432",
        ]
    )
    func taken(_ text: String) {
        #expect(ForwardTarget(text)?.description == text)
    }
}

@Suite("The delay of the path")
struct PathDelayTests {
    private static let millisecond: UInt64 = 1_000_000

    @Test("is the smallest of what PINGs took, from ten milliseconds on, and forgets after ten seconds")
    func smallest() {
        var delay = PathDelay()
        func measure(_ milliseconds: UInt64, at second: UInt64) {
            let now = second * 1000 * Self.millisecond
            #expect(delay.ask(now) == now)
            #expect(delay.ask(now + Self.millisecond) == nil, "one is on its way")
            delay.hear(now, now + milliseconds * Self.millisecond)
        }
        measure(140, at: 1)
        #expect(delay.roundTrip == 140 * Self.millisecond)
        measure(100, at: 2)
        measure(300, at: 3)
        #expect(delay.roundTrip == 100 * Self.millisecond)
        measure(200, at: 14)
        #expect(delay.roundTrip == 200 * Self.millisecond)
        measure(3, at: 15)
        #expect(delay.roundTrip == 0)
    }

    @Test("takes no PONG that it did not ask for, and asks again when none comes")
    func foreign() {
        var delay = PathDelay()
        delay.hear(5, 60_000 * Self.millisecond)
        #expect(delay.ask(1000) == 1000)
        delay.hear(999, 60_000 * Self.millisecond)
        #expect(delay.roundTrip == 0)
        #expect(delay.ask(6_000 * Self.millisecond) == 6_000 * Self.millisecond)
        delay.hear(1000, 6_100 * Self.millisecond)
        #expect(delay.roundTrip == 0)
    }
}
