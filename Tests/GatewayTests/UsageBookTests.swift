import Contracts
import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("The usage that is kept")
struct UsageBookTests {
    private let subject = UsageSubject(contract: Digest.sha256([1]), node: Digest.sha256([2]))
    private let totals = UsageTotals(bytesIn: 12, bytesOut: 3456, conns: 7)

    private func key(_ seed: UInt8) throws -> SigningKey { try SigningKey(seed: [UInt8](repeating: seed, count: 32)) }

    private func book() throws -> UsageBook {
        var book = UsageBook()
        book.meters = [
            ContractMeter(contract: subject.contract, totals: totals, period: PeriodUse(number: 3, bytes: 99))
        ]
        let claim = UsageStatement(subject: subject, totals: totals, until: 1000)
        book.claims = [claim]
        book.counts = [subject: totals]
        let key = try key(1)
        book.statements = [.init(agent: key.publicKey, statement: claim.signed(by: key))]
        return book
    }

    @Test("comes back from its document")
    func roundTrip() throws {
        let book = try book()
        #expect(UsageBook(document: book.document) == book)
        #expect(UsageBook(document: UsageBook().document) == UsageBook())
    }

    @Test("is refused when a byte of its document changed, or a part is missing")
    func damage() throws {
        let document = try book().document
        for place in stride(from: 0, to: document.count, by: 7) {
            var damaged = document
            damaged[place] ^= 1
            #expect(UsageBook(document: damaged) == nil, "byte \(place)")
        }
        #expect(UsageBook(document: []) == nil)
        #expect(UsageBook(document: Array(document.dropLast())) == nil)
        #expect(UsageBook(document: Array(document.prefix(document.count / 2))) == nil)
    }

    @Test("a signature is for one statement, node and key alone")
    func signature() throws {
        let key = try key(1)
        let signed = UsageStatement(subject: subject, totals: totals, until: 1000).signed(by: key)
        #expect(signed.isSigned(by: key.publicKey))
        #expect(try !signed.isSigned(by: self.key(2).publicKey))
        var other = signed
        other.totals.bytesOut += 1
        #expect(!other.isSigned(by: key.publicKey))
        other = signed
        other.subject.node = Digest.sha256([3])
        #expect(!other.isSigned(by: key.publicKey))
        other = signed
        other.until = 1001
        #expect(!other.isSigned(by: key.publicKey))
        #expect(UsageStatement(signed.payload, node: subject.node) == signed)
        #expect(UsageStatement(Array("{}".utf8), node: subject.node) == nil)
    }
}

@Suite("Usage that both ends sign for", .serialized)
struct SignedUsageTests {
    @Test("the agent signs what it saw, and both sides saw the same")
    func agree() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        for _ in 0..<3 {
            let answer = await blocking { () -> Message? in
                guard let socket = try? TestSocket(connectingTo: address) else { return nil }
                socket.say("GET / HTTP/1.1\r\nHost: \(FrontWorld.host)\r\n\r\n")
                return socket.message()
            }
            #expect(answer?.status == 200)
        }
        let meters = await world.gateway.meters()
        #expect(meters.first?.totals.conns == 3)
        world.gateway.claimUsage(meters)
        #expect(await comesTrue { world.gateway.agentStatements.count == 1 })
        let signed = try #require(world.gateway.agentStatements.first)
        #expect(signed.agent == world.agentKey.publicKey)
        #expect(signed.statement.totals == meters.first?.totals)
        #expect(signed.statement.isSigned(by: world.agentKey.publicKey))
        let book = try #require(await world.agent.usage())
        let subject = UsageSubject(contract: world.contract, node: world.node)
        #expect(book.counts == [subject: signed.statement.totals])
        #expect(book.claims.map(\.totals) == meters.map(\.totals))
        #expect(book.statements == [signed])
        await world.stop()
    }

    @Test(
        "an answer that comes after the next question is left aside, and one more than were asked for ends the session"
    )
    func late() async throws {
        let agentKey = try SigningKey(seed: [UInt8](repeating: 5, count: 32))
        let gateway = try TestGateway(backend: agentKey.publicKey)
        let ends = await blocking { () -> [Bool] in
            guard let peer = try? RawPeer(dialing: gateway, seed: 5), peer.handshake(), peer.greet() != nil else {
                return []
            }
            for time in Int64(5)...6 {
                gateway.parts.submit { parts in
                    for session in parts.registry.sessions {
                        session.claim([TestGateway.contract: UsageTotals(bytesIn: time)], until: time)
                    }
                }
            }
            let claims = (0..<2).compactMap { _ in
                peer.read(.usage).flatMap { UsageStatement($0.payload, node: TestGateway.node) }
            }
            for claim in claims { peer.send(.usage, 0, claim.signed(by: agentKey).payload) }
            peer.send(.ping, 0, [1, 2, 3, 4, 5, 6, 7, 8])
            let lives = peer.read(.pong) != nil
            if let last = claims.last { peer.send(.usage, 0, last.signed(by: agentKey).payload) }
            return [claims.map(\.until) == [5, 6], lives, peer.goAway()?.code == .protocolViolation]
        }
        #expect(ends == [true, true, true])
        await gateway.stop()
    }

    @Test("a USAGE that nobody asked for, or with another's signature, ends the session", arguments: [true, false])
    func hostile(_ isAsked: Bool) async throws {
        let agentKey = try SigningKey(seed: [UInt8](repeating: 5, count: 32))
        let gateway = try TestGateway(backend: agentKey.publicKey)
        let code = await blocking { () -> GoAwayCode? in
            guard let peer = try? RawPeer(dialing: gateway, seed: 5), peer.handshake(), peer.greet() != nil else {
                return nil
            }
            if isAsked {
                gateway.parts.submit { parts in
                    for session in parts.registry.sessions {
                        session.claim([TestGateway.contract: UsageTotals(bytesIn: 1)], until: 5)
                    }
                }
                guard peer.read(.usage) != nil else { return nil }
            }
            let subject = UsageSubject(contract: TestGateway.contract, node: TestGateway.node)
            let statement = UsageStatement(subject: subject, totals: UsageTotals(bytesIn: 1), until: 5)
            guard let other = try? SigningKey(seed: [UInt8](repeating: 7, count: 32)) else { return nil }
            peer.send(.usage, 0, statement.signed(by: isAsked ? other : agentKey).payload)
            return peer.goAway()?.code
        }
        #expect(code == .protocolViolation)
        await gateway.stop()
    }
}
