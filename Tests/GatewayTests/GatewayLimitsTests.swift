import Contracts
import Logging
import Testing

@testable import Gateway

@Suite("Shared limits")
struct GatewayLimitsTests {
    @Test("counts connections up to a limit")
    func count() {
        let load = SharedLoad()
        #expect(load.enter(limit: 2))
        #expect(load.enter(limit: 2))
        #expect(!load.enter(limit: 2))
        load.leave()
        #expect(load.enter(limit: 2))
        #expect(load.count == 2)
        #expect(load.opened == 3)
    }

    @Test("admits a second's worth at once, then the rate", arguments: [1, 3, 100, 1_000_000] as [Int64])
    func rate(_ rate: Int64) {
        let load = SharedLoad()
        var now: MonotonicNanoseconds = 5_000_000_000
        let burst = Int(min(rate, 1000))
        for _ in 0..<burst { #expect(load.admit(rate: rate, at: now)) }
        if rate <= 1000 { #expect(!load.admit(rate: rate, at: now)) }
        now += 1_000_000_000 / UInt64(rate)
        #expect(load.admit(rate: rate, at: now))
    }
}

@Suite("The gateway's facade", .serialized)
struct GatewayFacadeTests {
    @Test("says which address it cannot bind, and why")
    func bindFailure() throws {
        let busy = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        var configuration = GatewayConfiguration(
            node: Digest.sha256([1]),
            transportKey: try SigningKey(seed: [UInt8](repeating: 1, count: 32))
        )
        configuration.http = [busy.address.description]
        let gateway = try Gateway(configuration: configuration, logger: .init(label: "test"))
        #expect(throws: GatewayError("bind http", busy.address.description, reason: "Address already in use")) {
            try gateway.start()
        }
        configuration.http = ["localhost"]
        let other = try Gateway(configuration: configuration, logger: .init(label: "test"))
        #expect(throws: GatewayError.self) { try other.start() }
    }

    @Test("answers GET /status on a socket that only its user can reach")
    func admin() async throws {
        let server = try TestServer.page()
        let path = "/tmp/webgw-test-\(UInt64.random(in: 0...UInt64.max)).sock"
        let world = try await FrontWorld(["web": server.address], admin: path) {
            [$0.http(), $0.tcp(1...1, expose: "low")]
        }
        let answer = await blocking { () -> Message? in
            guard let socket = try? TestSocket(connectingTo: .unix(path)) else { return nil }
            socket.say("GET /status HTTP/1.1\r\nHost: local\r\n\r\n")
            return socket.message()
        }
        #expect(answer?.status == 200)
        let status = try JSONValue(canonical: answer?.body ?? [])
        #expect(status["node"]?.asString == world.node.hex)
        #expect(status["generation"]?.asInteger == 1)
        #expect(status["ledger"]?["condition"]?.asString == "normal")
        #expect(status["sessions"]?.asArray?.count == 2)
        let routes = status["routes"]?.asArray ?? []
        #expect(routes.count == 2)
        let web = routes.first { $0["exposure"]?.asString == "web" }
        #expect(web?["contract"]?.asString == world.contract.hex)
        #expect(web?["hosts"]?.asArray?.first?.asString == FrontWorld.host)
        #expect(web?["sessions"]?.asInteger == 2)
        let other = await blocking { () -> Int in
            guard let socket = try? TestSocket(connectingTo: .unix(path)) else { return 0 }
            socket.say("GET / HTTP/1.1\r\nHost: local\r\n\r\n")
            return socket.message()?.status ?? 0
        }
        #expect(other == 404)
        #expect(fileMode(path) == 0o600)
        await world.stop()
    }

    @Test("drains: new visitors are refused, an answer in flight is finished, then it is over")
    func drain() async throws {
        let mayAnswer = Lock(false)
        let server = try TestServer.http { _ in
            while !mayAnswer.withLock({ $0 }) { pause() }
            return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        }
        let world = try await FrontWorld(["web": server.address]) { [$0.http()] }
        let address = world.http
        let socket = try TestSocket(connectingTo: address)
        socket.say("GET / HTTP/1.1\r\nHost: \(FrontWorld.host)\r\n\r\n")
        #expect(await comesTrue { await world.gateway.status().contracts.first?.streams == 1 })
        async let drained: Void = world.gateway.drain(seconds: 60)
        #expect(await comesTrue { await blocking { (try? TestSocket(connectingTo: address)) == nil } })
        mayAnswer.withLock { $0 = true }
        let answer = await blocking { socket.message() }
        #expect(answer?.text == "ok" && answer?.field("connection") == "close")
        socket.shut()
        let clock = ContinuousClock()
        let start = clock.now
        await drained
        #expect(clock.now - start < .seconds(30))
        await world.stop()
    }
}
