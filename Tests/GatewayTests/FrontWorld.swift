import Contracts
import Glibc
import Logging
import Testing

@testable import Gateway

/// A gateway and an agent in this process, over real sockets, with a table that the test writes.
final class FrontWorld: Sendable {
    let gateway: Gateway
    let agent: TunnelAgent
    let node = Digest.sha256([1])
    let contract: Identifier
    let agentKey: SigningKey

    static let host = "shop.gw.example.org"

    /// Starts both and waits until the agent serves the contract.
    init(
        _ targets: [String: SocketAddress],
        loops: Int = 1,
        contract: Identifier = Digest.sha256([2]),
        limits: GatewayLimits = GatewayLimits(),
        admin: String? = nil,
        restoring meters: [ContractMeter] = [],
        isRaw: Bool = false,
        routes: (FrontWorld.Routes) -> [Route]
    ) async throws {
        self.contract = contract
        agentKey = try SigningKey(seed: [UInt8](repeating: 5, count: 32))
        let transportKey = try SigningKey(seed: [UInt8](repeating: 6, count: 32))
        var configuration = GatewayConfiguration(node: node, transportKey: transportKey)
        configuration.http = ["127.0.0.1:0"]
        configuration.https = ["127.0.0.1:0"]
        configuration.tunnel = ["127.0.0.1:0"]
        configuration.ports = ["127.0.0.1"]
        configuration.loops = loops
        configuration.limits = limits
        configuration.admin = admin
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        gateway = try Gateway(configuration: configuration, logger: logger)
        gateway.restore(meters)
        try gateway.start()
        gateway.apply(Publication(node: node, routes: routes(Routes(contract: contract, key: agentKey.publicKey))))
        let forwards = targets.mapValues { ForwardTarget($0.description)! }
        agent = try TunnelAgent(
            configuration: AgentConfiguration(key: agentKey, contracts: [contract: forwards], slots: 2),
            logger: logger
        )
        let tunnel = try #require(SocketAddress(gateway.boundAddresses.tunnel[0]))
        if isRaw { agent.update(rawContracts: [contract]) }
        agent.update(endpoints: [
            GatewayEndpoint(node: node, host: tunnel.host, port: tunnel.port, transportKey: transportKey.publicKey)
        ])
        var serving = 0
        for await event in agent.events {
            if case .serving(let accepted, _) = event.state, accepted.contains(contract) { serving += 1 }
            if serving == 2 { break }
        }
    }

    /// One more agent with the same key, of one session, which serves the contract.
    func anotherAgent(_ targets: [String: SocketAddress]) async throws -> TunnelAgent {
        let forwards = targets.mapValues { ForwardTarget($0.description)! }
        let agent = try TunnelAgent(
            configuration: AgentConfiguration(key: agentKey, contracts: [contract: forwards], slots: 1),
            logger: Logger(label: "test")
        )
        let tunnel = try #require(SocketAddress(gateway.boundAddresses.tunnel[0]))
        let transportKey = try SigningKey(seed: [UInt8](repeating: 6, count: 32)).publicKey
        agent.update(endpoints: [
            GatewayEndpoint(node: node, host: tunnel.host, port: tunnel.port, transportKey: transportKey)
        ])
        for await event in agent.events {
            if case .serving(let accepted, _) = event.state, accepted.contains(contract) { break }
        }
        return agent
    }

    var http: SocketAddress { SocketAddress(gateway.boundAddresses.http[0])! }
    var https: SocketAddress { SocketAddress(gateway.boundAddresses.https[0])! }
    var routes: Routes { Routes(contract: contract, key: agentKey.publicKey) }

    func apply(_ routes: [Route]) {
        gateway.apply(Publication(node: node, routes: routes))
    }

    /// Returns when every loop has taken what was applied before.
    func settle() async { _ = await gateway.status() }

    func stop() async {
        await agent.stop()
        await gateway.stop()
    }

    /// Makes routes of one contract.
    struct Routes {
        var contract: Identifier
        var key: PublicKey

        func http(
            _ host: String = FrontWorld.host,
            expose: String = "web",
            path: String = "/",
            mode: RouteMode = .serve,
            drain: Int64 = 1,
            limits: ContractLimits = ContractLimits(bps: 1_000_000_000, conns: 1000),
            proxy: Int = 0,
            allow: [CIDR] = [],
            deny: [CIDR] = [],
            rank: Int = 0,
            auth: HostAuth = .name,
            tls: HTTPTLS = .none,
            conn: ConnectionMode = .reverseTLS,
            backends: [Backend]? = nil,
            version: Int64 = 1
        ) -> Route {
            make(
                expose,
                .http,
                .http(host: host, path: path, tls: tls, redirect: false, auth: auth, rank: rank),
                mode,
                drain,
                limits,
                proxy,
                allow,
                deny,
                conn,
                backends,
                version
            )
        }

        func tls(
            _ host: String = FrontWorld.host,
            expose: String = "secure",
            mode: RouteMode = .serve,
            drain: Int64 = 1,
            proxy: Int = 0,
            rank: Int = 0,
            auth: HostAuth = .name,
            limits: ContractLimits = ContractLimits(bps: 1_000_000_000, conns: 1000),
            conn: ConnectionMode = .reverseTLS
        ) -> Route {
            make(
                expose,
                .tls,
                .tls(host: host, auth: auth, rank: rank),
                mode,
                drain,
                limits,
                proxy,
                [],
                [],
                conn,
                nil,
                1
            )
        }

        func tcp(
            _ ports: ClosedRange<UInt16>,
            expose: String = "tcp",
            mode: RouteMode = .serve,
            drain: Int64 = 1,
            limits: ContractLimits = ContractLimits(bps: 1_000_000_000, conns: 1000),
            proxy: Int = 0,
            allow: [CIDR] = [],
            deny: [CIDR] = [],
            kind: ExposeKind = .tcp
        ) -> Route {
            make(
                expose,
                kind,
                .ports(from: ports.lowerBound, to: ports.upperBound),
                mode,
                drain,
                limits,
                proxy,
                allow,
                deny,
                .reverseTLS,
                nil,
                1
            )
        }

        private func make(
            _ expose: String,
            _ kind: ExposeKind,
            _ target: Route.Target,
            _ mode: RouteMode,
            _ drain: Int64,
            _ limits: ContractLimits,
            _ proxy: Int,
            _ allow: [CIDR],
            _ deny: [CIDR],
            _ conn: ConnectionMode,
            _ backends: [Backend]?,
            _ version: Int64
        ) -> Route {
            Route(
                contract: contract,
                expose: expose,
                kind: kind,
                mode: mode,
                conn: conn,
                backends: backends ?? [Backend(id: "b1", target: .key(key))],
                allow: allow,
                deny: deny,
                drain: drain,
                limits: limits,
                proxy: proxy,
                version: version,
                target: target
            )
        }
    }
}

/// Permission bits of a file; nil when there is none.
func fileMode(_ path: String) -> mode_t? {
    var info = stat()
    guard unsafe stat(path, &info) == 0 else { return nil }
    return info.st_mode & 0o777
}

/// Lets other threads run.
func pause() { usleep(1000) }

/// Asks until the answer is yes, for at most ten seconds.
func comesTrue(_ condition: @Sendable () async -> Bool) async -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(10)
    while clock.now < end {
        if await condition() { return true }
        try? await clock.sleep(for: .milliseconds(10))
    }
    return await condition()
}

/// An HTTP message as a test sees it.
struct Message: Sendable {
    var start = ""
    var fields: [String] = []
    var body: [UInt8] = []
    /// Whether the body was whole.
    var isWhole = false

    var status: Int { Int(start.split(separator: " ").dropFirst().first ?? "") ?? 0 }
    var text: String { String(decoding: body, as: UTF8.self) }

    func field(_ name: String) -> String? {
        let prefix = name.lowercased() + ":"
        return fields.first { $0.lowercased().hasPrefix(prefix) }.map {
            $0.dropFirst(prefix.count).drop { $0 == " " }.description
        }
    }
}

extension TestSocket {
    func say(_ text: String) { write(Array(text.utf8)) }

    /// Reads one message, byte by byte up to the end of its head, so that nothing of the next is taken.
    func message(hasBody: Bool = true) -> Message? {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard let byte = read(1), !byte.isEmpty, head.count < 1 << 17 else { return nil }
            head += byte
        }
        var lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: true)
            .map(String.init)
        var message = Message()
        message.start = lines.isEmpty ? "" : lines.removeFirst()
        message.fields = lines
        let isAnswer = message.start.hasPrefix("HTTP/")
        if !hasBody || (isAnswer && (message.status / 100 == 1 || message.status == 204 || message.status == 304)) {
            message.isWhole = true
        } else if let length = message.field("content-length").flatMap(Int.init) {
            message.body = read(exactly: length)
            message.isWhole = message.body.count == length
        } else if message.field("transfer-encoding") != nil {
            message.isWhole = readChunks(into: &message.body)
        } else if isAnswer {
            if let rest = readToEnd() {
                message.body = rest
                message.isWhole = true
            }
        } else {
            message.isWhole = true
        }
        return message
    }

    private func readChunks(into body: inout [UInt8]) -> Bool {
        while true {
            var line: [UInt8] = []
            while !line.suffix(2).elementsEqual([13, 10]) {
                guard let byte = read(1), !byte.isEmpty else { return false }
                line += byte
            }
            guard let size = Int(String(decoding: line.dropLast(2), as: UTF8.self), radix: 16) else { return false }
            if size == 0 {
                var trailer: [UInt8] = [13, 10]
                while !trailer.suffix(4).elementsEqual([13, 10, 13, 10]) {
                    guard let byte = read(1), !byte.isEmpty else { return false }
                    trailer += byte
                }
                return true
            }
            let part = read(exactly: size)
            body += part
            guard part.count == size, read(exactly: 2) == [13, 10] else { return false }
        }
    }
}

extension TestServer {
    /// Answers every request with what `answer` makes of it; nil closes the connection.
    static func http(_ answer: @escaping @Sendable (Message) -> String?) throws -> TestServer {
        try TestServer { socket in
            while let request = socket.message() {
                guard request.isWhole, let text = answer(request) else { return }
                socket.say(text)
                if text.contains("Connection: close") { return }
            }
        }
    }

    /// Answers `ok`, and what was asked for in the field `X-Line`.
    static func page() throws -> TestServer {
        try http { request in
            let body = "page:\(request.text)"
            return "HTTP/1.1 200 OK\r\nX-Line: \(request.start)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
    }
}
