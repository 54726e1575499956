import Foundation
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("Several agents and several gateways, through real processes", .serialized)
struct RedundancyTests {
    /// Event loops of the gateway.
    private static let loops = More.heavy ? [1, 2] : [1]

    // MARK: Balancing

    @Test("round-robin gives each agent its weight's part, to the visitor", arguments: RedundancyTests.loops)
    func roundRobin(loops: Int) async throws {
        let replicas = try await Replicas(weights: ["a": 1, "b": 2, "c": 5], loops: loops)
        var counts: [String: Int] = [:]
        for _ in 0..<160 { counts[await replicas.ask() ?? "nobody", default: 0] += 1 }
        if loops == 1 {
            #expect(counts == ["a": 20, "b": 40, "c": 100])
        } else {
            // Every loop goes round by itself, so each may be within one round.
            #expect(abs(counts["a", default: 0] - 20) <= 2 && abs(counts["b", default: 0] - 40) <= 4, "\(counts)")
            #expect(counts["nobody"] == nil)
        }
    }

    @Test(
        "least-conn levels the open connections by weight, whatever the sessions are",
        arguments: RedundancyTests.loops
    )
    func leastConnections(loops: Int) async throws {
        let replicas = try await Replicas(weights: ["a": 1, "b": 1, "c": 2], balance: "least-conn", loops: loops)
        let gateway = replicas.gateways[0]
        var held: [(name: String, visitor: Visitor)] = []
        for _ in 0..<80 {
            let visitor = try await Visitor(gateway.address, gateway.http)
            held.append((try await visitor.get("/", host: Replicas.host).body, visitor))
        }
        func counts() -> [String: Int] { Dictionary(grouping: held, by: \.name).mapValues(\.count) }
        #expect(abs(counts()["a", default: 0] - 20) <= 2 && abs(counts()["c", default: 0] - 40) <= 2, "\(counts())")
        // When those of one agent leave, it gets the next ones.
        for (name, visitor) in held where name == "b" { await visitor.close() }
        held.removeAll { $0.name == "b" }
        try await eventually("the gateway has seen them leave") {
            let contracts = try await replicas.deployment.status(of: gateway)["contracts"] as? [[String: Any]] ?? []
            return contracts.first?["streams"] as? Int == held.count
        }
        for _ in 0..<10 {
            let visitor = try await Visitor(gateway.address, gateway.http)
            held.append((try await visitor.get("/", host: Replicas.host).body, visitor))
        }
        #expect(counts()["b", default: 0] >= 9, "\(counts())")
        for (_, visitor) in held { await visitor.close() }
    }

    @Test(
        "client-ip keeps a visitor at one agent; when that goes, only its visitors move",
        arguments: RedundancyTests.loops
    )
    func clientIP(loops: Int) async throws {
        let replicas = try await Replicas(weights: ["a": 1, "b": 1, "c": 1], balance: "client-ip", loops: loops)
        let sources = (1...24).map { "127.0.7.\($0)" }
        var home: [String: String] = [:]
        for _ in 0..<6 {
            for source in sources {
                let name = await replicas.ask(from: source) ?? "nobody"
                #expect(home[source] == nil || home[source] == name, "\(source) moved from \(home[source] ?? "")")
                home[source] = name
            }
        }
        #expect(Set(home.values) == ["a", "b", "c"])
        try await replicas.agents["b"]!.killHard()
        try await eventually("b is gone") {
            try await replicas.deployment.sessions(of: replicas.gateways[0]).count == 4
        }
        for source in sources {
            let name = await replicas.ask(from: source) ?? "nobody"
            if home[source] == "b" {
                #expect(name == "a" || name == "c")
            } else {
                #expect(name == home[source])
            }
        }
    }

    // MARK: Agents that die

    @Test("an agent that stops without a word is left within 5 s, and no visitor who asks for a page is lost")
    func deadAgent() async throws {
        let replicas = try await Replicas(weights: ["a": 1, "b": 1])
        replicas.agents["a"]!.send(SIGSTOP)
        let start = ContinuousClock.now
        var last = Duration.zero
        var lost = 0
        while ContinuousClock.now - start < .seconds(8) {
            let asked = ContinuousClock.now
            if await replicas.ask() == nil { lost += 1 }
            // Held up by the agent that does not answer.
            if ContinuousClock.now - asked > .milliseconds(700) { last = ContinuousClock.now - start }
        }
        print("the stopped agent held a visitor up for the last time \(last) after its end")
        #expect(lost == 0)
        #expect(last <= .seconds(5))
        replicas.agents["a"]!.send(SIGCONT)
        try await eventually(within: 40, "it is back") {
            try await replicas.deployment.sessions(of: replicas.gateways[0]).count == 4
        }
    }

    @Test("another process with the same key takes over from one that hangs at once, and is not fought over")
    func takeOver() async throws {
        let replicas = try await Replicas(weights: ["a": 1])
        let (deployment, gateway) = (replicas.deployment, replicas.gateways[0])
        func peers() async throws -> Set<String> {
            Set(try await deployment.sessions(of: gateway).compactMap { $0["peer"] as? String })
        }
        let old = replicas.agents["a"]!
        let before = try await peers()
        try replicas.startAgent("a", state: "state-of-the-second")
        let second = replicas.agents["a"]!
        // It knows the ledger: what follows is about the gateway alone.
        try await eventually(within: 30, "the second agent serves") { second.output.contains("\"state\":\"serving\"") }
        let start = ContinuousClock.now
        try await eventually(within: 5, "the gateway has the new sessions alone") {
            let now = try await peers()
            return now.count == 2 && now.isDisjoint(with: before)
        }
        print("taken over after \(ContinuousClock.now - start)")
        #expect(await replicas.ask() == "a")
        try await eventually(within: 10, "the first agent is told so") { old.output.contains("superseded") }
        let after = try await peers()
        for _ in 0..<50 { #expect(await replicas.ask() == "a") }
        #expect(try await peers() == after)
    }

    // MARK: Gateways

    @Test("gateways of two owners serve one contract, and one that is killed changes nothing for the other's visitors")
    func twoGateways() async throws {
        let replicas = try await Replicas(gateways: 2, weights: ["a": 1])
        #expect(await replicas.ask(0) == "a")
        #expect(await replicas.ask(1) == "a")
        try await replicas.processes[0].killHard()
        for _ in 0..<100 { #expect(await replicas.ask(1) == "a") }
        try replicas.restart(gateway: 0)
        try await eventually(within: 40, "the killed gateway is back with the agent") { await replicas.ask(0) == "a" }
    }

    @Test("restarts of gateways with a drain lose no request that a client may repeat, and no answer that was begun")
    func rollingRestart() async throws {
        let replicas = try await Replicas(gateways: 2, weights: ["a": 1, "b": 1])
        let gateways = replicas.gateways
        let download = Task { await slowDownload(6_000_000, host: Replicas.host, gateways[0]) }
        let clients = (0..<8).map { number in
            RetryingClient(gateways: gateways, first: number % 2, isPost: number >= 4)
        }
        for client in clients { client.start() }
        try await eventually(within: 20, "all are under way") { clients.allSatisfy { $0.report.answered > 10 } }
        for place in [0, 1] {
            replicas.processes[place].send(SIGTERM)
            let finished = try await replicas.processes[place].finish(within: 60)
            #expect(finished.status == 0, "\(finished.errors.suffix(500))")
            try replicas.restart(gateway: place)
            try await eventually(within: 40, "gateway \(place) serves again") { await replicas.ask(place) != nil }
        }
        for client in clients { client.stop() }
        for client in clients {
            let report = client.report
            print("\(client.isPost ? "POST" : "GET"): \(report)")
            #expect(report.lost == 0 && report.answered > 50)
        }
        #expect(await download.value == 6_000_000)
    }
}

/// Asks one gateway after the other, on a connection for each request, and repeats what it may: a connection that was refused, an answer 503,
/// and for GET also a connection that ended before any byte of an answer.
final class RetryingClient: Sendable {
    struct Report: Sendable {
        var answered = 0
        var repeated = 0
        var lost = 0
        var example = ""
    }

    let isPost: Bool
    private let gateways: [Deployment.Gateway]
    private let first: Int
    private let state = NIOLockedValueBox((report: Report(), isStopping: false, isRunning: false))

    var report: Report { state.withLockedValue { $0.report } }

    init(gateways: [Deployment.Gateway], first: Int, isPost: Bool) {
        self.gateways = gateways
        self.first = first
        self.isPost = isPost
    }

    func start() {
        Thread.detachNewThread { [self] in
            var place = first
            while !state.withLockedValue({ $0.isStopping }) {
                let outcome = ask(gateways[place])
                state.withLockedValue { state in
                    switch outcome {
                    case .answered: state.report.answered += 1
                    case .mayRepeat: state.report.repeated += 1
                    case .lost(let text):
                        state.report.lost += 1
                        state.report.example = text
                    }
                }
                if case .mayRepeat = outcome {
                    place = (place + 1) % gateways.count
                    usleep(2_000)
                }
            }
        }
    }

    func stop() { state.withLockedValue { $0.isStopping = true } }

    private enum Outcome {
        case answered, mayRepeat
        case lost(String)
    }

    private func ask(_ gateway: Deployment.Gateway) -> Outcome {
        guard let socket = try? BlockingSocket.connected(gateway.address, gateway.http) else { return .mayRepeat }
        socket.setDeadline(seconds: 20)
        let start = isPost ? "POST / HTTP/1.1\r\nContent-Length: 5\r\n" : "GET / HTTP/1.1\r\n"
        let request = "\(start)Host: \(Replicas.host)\r\nConnection: close\r\n\r\n\(isPost ? "12345" : "")"
        guard socket.write(Array(request.utf8)[...]) else { return isPost ? .lost("write") : .mayRepeat }
        var (bytes, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
        while HTTPAnswer(bytes) == nil {
            let count = socket.read(into: &buffer)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        if bytes.isEmpty { return isPost ? .lost("no answer, errno \(errno)") : .mayRepeat }
        guard let answer = HTTPAnswer(bytes) else { return .lost(String(decoding: bytes, as: UTF8.self)) }
        switch answer.status {
        case 200: return .answered
        case 503: return .mayRepeat
        default: return .lost(answer.head)
        }
    }
}
