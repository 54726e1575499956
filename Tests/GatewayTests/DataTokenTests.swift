import Contracts
import Glibc
import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("Tokens of data connections", .serialized)
struct DataTokenTests {
    private static let hello = DataConnectionTests.hello

    /// Takes the agent's place with its key, as another instance, and gives the tokens of the connections that the gateway wants ahead.
    private static func takeOver(_ world: FrontWorld) throws -> (peer: RawPeer, tokens: [DataToken]) {
        let context = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: [UInt8](repeating: 5, count: 32)))
        let tunnel = SocketAddress(world.gateway.boundAddresses.tunnel[0])!
        let gateway = try SigningKey(seed: [UInt8](repeating: 6, count: 32)).publicKey.bytes
        let peer = try RawPeer(TestSocket(connectingTo: tunnel), context, pinned: gateway)
        guard peer.handshake(), peer.greet([world.contract], instance: 7) != nil else {
            throw TestFailure("no session")
        }
        let tokens = (0..<DataLines.fewest).compactMap { _ in peer.read(.token).flatMap { StreamToken($0.payload) } }
        guard tokens.count == DataLines.fewest, tokens.allSatisfy({ $0.stream == 0 }) else {
            throw TestFailure("no tokens ahead")
        }
        return (peer, tokens.map(\.token))
    }

    private static func connect(_ world: FrontWorld, _ bytes: [UInt8]) throws -> TestSocket {
        let socket = try TestSocket(connectingTo: SocketAddress(world.gateway.boundAddresses.tunnel[0])!)
        socket.write(bytes)
        return socket
    }

    /// The connection was closed unanswered, by FIN or RST.
    private static func isClosed(_ socket: TestSocket) -> Bool {
        let bytes = socket.read()
        return bytes == nil ? errno == ECONNRESET : bytes == []
    }

    /// Keeps the session alive until the body has ended, on a thread of its own; gives the time it took, or none when it was false.
    private static func keepAlive(_ peer: RawPeer, until body: @escaping @Sendable () -> Bool) -> Duration {
        let start = ContinuousClock.now
        let answer = Lock<Bool?>(nil)
        startThread {
            let isTrue = body()
            answer.withLock { $0 = isTrue }
        }
        while answer.withLock({ $0 }) == nil, let frame = peer.readFrame() {
            if frame.type == FrameType.ping.rawValue { peer.send(.pong, 0, frame.payload) }
        }
        return answer.withLock { $0 } == true ? ContinuousClock.now - start : .zero
    }

    private static func spare(_ world: FrontWorld) async -> Int {
        await world.gateway.status().sessions.reduce(0) { $0 + $1.spare }
    }

    @Test("a token opens one connection: shown again, unknown or cut short it is refused and counted")
    func once() async throws {
        let world = try await DataConnectionTests.world(TestServer.echo())
        let (peer, tokens) = try Self.takeOver(world)
        let first = try Self.connect(world, tokens[0].preamble)
        #expect(await comesTrue { await Self.spare(world) == 1 })
        let replayed = try Self.connect(world, tokens[0].preamble)
        #expect(await blocking { Self.isClosed(replayed) })
        let unknown = try Self.connect(world, DataToken.random().preamble)
        #expect(await blocking { Self.isClosed(unknown) })
        let other = try Self.connect(world, Array("WGWR2".utf8) + tokens[1].bytes)
        #expect(await blocking { Self.isClosed(other) })
        #expect(await world.gateway.status().tunnelRefusals.tokens == 3)
        // The one that was good, and the token that nobody has used, still are.
        let second = try Self.connect(world, tokens[1].preamble)
        #expect(await comesTrue { await Self.spare(world) == 2 })
        for socket in [first, second] { socket.shut() }
        peer.socket.shut()
        await world.stop()
    }

    @Test("a token is good for 5 s, and a connection has 5 s to show one")
    func late() async throws {
        let world = try await DataConnectionTests.world(TestServer.echo())
        let (peer, tokens) = try Self.takeOver(world)
        let silent = try Self.connect(world, [])
        let half = try Self.connect(world, Array(tokens[0].preamble.prefix(20)))
        let waited = Self.keepAlive(peer) { Self.isClosed(half) && Self.isClosed(silent) }
        #expect(waited > .milliseconds(4900) && waited < .seconds(10), "closed after \(waited)")
        let late = try Self.connect(world, tokens[1].preamble)
        #expect(await blocking { Self.isClosed(late) })
        #expect(await world.gateway.status().tunnelRefusals.tokens == 1)
        peer.socket.shut()
        await world.stop()
    }

    @Test("tokens and waiting connections die with their session")
    func sessionEnds() async throws {
        let world = try await DataConnectionTests.world(TestServer.echo())
        let (peer, tokens) = try Self.takeOver(world)
        let waiting = try Self.connect(world, tokens[0].preamble)
        #expect(await comesTrue { await Self.spare(world) == 1 })
        peer.socket.shut()
        #expect(await blocking { Self.isClosed(waiting) })
        let orphan = try Self.connect(world, tokens[1].preamble)
        #expect(await blocking { Self.isClosed(orphan) })
        #expect(await world.gateway.status().tunnelRefusals.tokens == 1)
        await world.stop()
    }

    @Test(
        "a visitor gets what came over a data connection that ended in order, though the session ends before all is taken"
    )
    func lateVisitor() async throws {
        let limits = ContractLimits(bps: 160_000, conns: 1000)
        let world = try await DataConnectionTests.world(TestServer.echo(), limits: limits)
        let (peer, tokens) = try Self.takeOver(world)
        let data = try Self.connect(world, tokens[0].preamble)
        #expect(await comesTrue { await Self.spare(world) == 1 })
        let visitor = try TestSocket(connectingTo: world.https)
        visitor.write(Self.hello)
        visitor.finish()
        let sent = testBytes(100_000)
        let isAnswered = await blocking {
            guard data.readToEnd() == Self.hello, data.write(Array(sent[..<60_000])) else { return false }
            return visitor.read(exactly: 60_000) == Array(sent[..<60_000])
        }
        #expect(isAnswered)
        // The rate is used up: the rest, and the end, wait in the gateway's kernel.
        data.write(Array(sent[60_000...]))
        data.shut()
        peer.socket.shut()
        #expect(await comesTrue { await world.gateway.status().sessions.isEmpty })
        #expect(await blocking { visitor.readToEnd() } == Array(sent[60_000...]))
        #expect(await comesTrue { await world.gateway.status().contracts.allSatisfy { $0.streams == 0 } })
        await world.stop()
    }

    @Test("a waiting connection that speaks before it has a visitor is closed")
    func earlyBytes() async throws {
        let world = try await DataConnectionTests.world(TestServer.echo())
        let (peer, tokens) = try Self.takeOver(world)
        let waiting = try Self.connect(world, tokens[0].preamble)
        #expect(await comesTrue { await Self.spare(world) == 1 })
        waiting.write([1, 2, 3])
        #expect(await blocking { Self.isClosed(waiting) })
        peer.socket.shut()
        await world.stop()
    }

    @Test("a visitor gets a waiting connection named by its token; an agent that sends DATA for it ends it alone")
    func bound() async throws {
        let world = try await DataConnectionTests.world(TestServer.echo())
        let (peer, tokens) = try Self.takeOver(world)
        let data = try tokens.map { try Self.connect(world, $0.preamble) }
        #expect(await comesTrue { await Self.spare(world) == 2 })
        let visitors = try (0..<2).map { _ in try TestSocket(connectingTo: world.https) }
        for visitor in visitors { visitor.write(Self.hello) }
        var named: [StreamToken] = []
        while named.count < 2, let frame = peer.read(.token) {
            if let token = StreamToken(frame.payload), token.stream > 0 { named.append(token) }
        }
        #expect(Set(named.map(\.token)) == Set(tokens))
        for socket in data { #expect(await blocking { socket.read(exactly: Self.hello.count) } == Self.hello) }
        peer.send(.data, named[0].stream, [1])
        let ended = data[tokens.firstIndex(of: named[0].token)!]
        // The workload behind the other one answers its visitor.
        data[tokens.firstIndex(of: named[1].token)!].write([9])
        #expect(await blocking { Self.isClosed(ended) })
        let answers = await blocking { visitors.map { $0.read(1) } }
        #expect(answers.contains([9]) && answers.contains(nil))
        peer.socket.shut()
        await world.stop()
    }

    @Test("a visitor whose agent makes no connection is let go after 5 s, and counted")
    func noConnection() async throws {
        let world = try await DataConnectionTests.world(TestServer.echo())
        let (peer, _) = try Self.takeOver(world)
        let visitor = try TestSocket(connectingTo: world.https)
        visitor.write(Self.hello)
        let waited = Self.keepAlive(peer) { visitor.readToEnd() == nil }
        #expect(waited > .milliseconds(3900) && waited < .seconds(10), "let go after \(waited)")
        #expect(await comesTrue { await world.gateway.status().contracts.first?.refused[.silentWorkload] == 1 })
        peer.socket.shut()
        await world.stop()
    }

    @Test("a source that shows bad tokens is not listened to after a while, unless a token is out")
    func sourceLimit() async throws {
        let world = try await DataConnectionTests.world(TestServer.echo())
        await world.agent.stop()
        #expect(await comesTrue { await world.gateway.status().sessions.isEmpty })
        #expect(
            await comesTrue { await world.gateway.core.allFronts[0].run { $0.registry.desk.table.isEmpty } ?? true }
        )
        // Connections that the agent made ahead are refused too, when they come after their session.
        let before = await world.gateway.status().tunnelRefusals
        let refused = await blocking { () -> Int in
            var refused = 0
            for _ in 0..<100 {
                guard let socket = try? Self.connect(world, DataToken.random().preamble) else { continue }
                if Self.isClosed(socket) { refused += 1 }
            }
            return refused
        }
        #expect(refused == 100)
        let counts = await world.gateway.status().tunnelRefusals
        let (tokens, source) = (counts.tokens - before.tokens, counts.source - before.source)
        // Those that came before are of the same source, and used up a part of what it may show.
        #expect(counts.tokens >= 60 && source > 0 && tokens + source == 100, "\(before.tokens) + \(tokens) + \(source)")
        await world.stop()
    }

    @Test(
        "TOKEN is read as it is written, and in no other form",
        arguments: [
            #"{"stream":2,"token":"\#(Hex.encode([UInt8](repeating: 1, count: 32)))"}"#,
            #"{"stream":1,"token":"\#(Hex.encode([UInt8](repeating: 1, count: 31)))"}"#,
            #"{"stream":1,"token":"\#(Hex.encode([UInt8](repeating: 1, count: 32)))","x":1}"#,
            #"{"stream":4294967297,"token":"\#(Hex.encode([UInt8](repeating: 1, count: 32)))"}"#,
            #"{"token":"\#(Hex.encode([UInt8](repeating: 1, count: 32)))"}"#, "{}", "",
        ]
    )
    func malformed(_ text: String) throws {
        #expect(StreamToken(Array(text.utf8)) == nil)
        let token = StreamToken(stream: 4_294_967_295, token: .random())
        #expect(StreamToken(token.payload) == token)
        #expect(DataToken(preamble: token.token.preamble) == token.token)
    }
}
