import ArgumentParser
import Contracts
import Foundation
import Gateway
import Logging

/// Measures a gateway with a large table and many sessions, in this process: `scripts/bench-gateway.sh` calls it.
@main
struct GatewayBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway-bench",
        abstract: "Measure start, publication, look-up and memory of a gateway with many routes and sessions."
    )

    @Option(help: "Contracts on the node, each with a backend key of its own.")
    var contracts = 10_000

    @Option(help: "Hosts of each contract; every host is a route.")
    var hosts = 10

    @Option(help: "Agents' sessions.")
    var sessions = 0

    @Option(help: "The program that holds the sessions, of Benchmarks/gateway/sessions.c.")
    var tool = "sessions"

    @Option(help: "Contracts that change, one after the other.")
    var changes = 300

    @Option(help: "Event loops.")
    var loops = 1

    func run() async throws {
        var world = try TableWorld(contracts: contracts, hosts: hosts)
        var configuration = GatewayConfiguration(node: world.node, transportKey: TableWorld.key("transport"))
        configuration.tunnel = ["127.0.0.1:0"]
        configuration.loops = loops
        configuration.limits.handshakesPerSecond = 100_000
        configuration.limits.allHandshakesPerSecond = 1_000_000
        let before = residentBytes()
        let clock = ContinuousClock()
        let start = clock.now
        let gateway = try Gateway(configuration: configuration, logger: Logger(label: "bench"))
        try gateway.start()
        await Self.publish(world.state, gateway)
        var report: [String: Any] = [
            "routes": contracts * hosts, "contracts": contracts, "loops": loops,
            "start_s": Self.seconds(clock.now - start),
            "table_bytes_per_route": (residentBytes() - before) / max(1, contracts * hosts),
        ]
        report["publish"] = try await publications(&world, gateway)
        let names = names(of: world)
        let bytes = names.flatMap(\.self)
        var ends: [Int] = []
        for name in names { ends.append((ends.last ?? 0) + name.count) }
        report["lookup_ns"] = Self.best(names.count) {
            guard gateway.known(hosts: bytes, ends: ends) == ends.count else {
                preconditionFailure("the table has every host")
            }
        }
        report["decision_ns"] = Self.best(names.count) {
            for name in names where gateway.refusal(host: name) != nil { preconditionFailure("every host is served") }
        }
        if sessions > 0 { try await hold(&world, gateway, &report) }
        await gateway.stop()
        let data = try JSONSerialization.data(withJSONObject: report, options: [.sortedKeys])
        print(String(decoding: data, as: UTF8.self))
    }

    /// Applies a state and returns when every loop has it.
    private static func publish(_ state: ContractState, _ gateway: Gateway) async {
        gateway.apply(state, at: state.now, Freshness(quorumTime: state.now))
        _ = await gateway.runningContracts()
    }

    /// Milliseconds from a verified state, whose root is known, to the last loop that serves by it.
    private func publications(_ world: inout TableWorld, _ gateway: Gateway) async throws -> [String: Any] {
        var times: [Double] = []
        for number in 0..<changes {
            try world.change(number &* 7919 % contracts)
            let state = world.state
            let start = ContinuousClock.now
            await Self.publish(state, gateway)
            times.append(Self.seconds(ContinuousClock.now - start) * 1000)
        }
        times.sort()
        return [
            "p50_ms": times[times.count / 2], "p99_ms": times[times.count * 99 / 100], "max_ms": times[times.count - 1],
        ]
    }

    /// All hosts, in an order in which no two that lie together follow each other.
    private func names(of world: TableWorld) -> [[UInt8]] {
        let count = contracts * hosts
        return (0..<count).map { number in
            let place = number &* 61_803 % count
            return Array(world.host(place / hosts, place % hosts).utf8)
        }
    }

    /// Nanoseconds for each of `count` questions, in the best of five rounds.
    private static func best(_ count: Int, _ round: () -> Void) -> Double {
        var best = Double.infinity
        for _ in 0..<5 {
            let start = ContinuousClock.now
            round()
            best = min(best, seconds(ContinuousClock.now - start) * 1e9 / Double(count))
        }
        return best
    }

    private func hold(_ world: inout TableWorld, _ gateway: Gateway, _ report: inout [String: Any]) async throws {
        let list = FileManager.default.temporaryDirectory.appendingPathComponent("sessions-\(UUID().uuidString)")
        try world.agents(sessions).joined(separator: "\n").write(to: list, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: list) }
        let port = gateway.boundAddresses.tunnel[0].split(separator: ":").last.map(String.init) ?? ""
        let before = residentBytes()
        let process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: tool)
        process.arguments = [port, "\(sessions)", list.path]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let line = output.fileHandleForReading.availableData
        report["sessions"] = try JSONSerialization.jsonObject(with: line)
        report["session_bytes"] = (residentBytes() - before) / max(1, sessions)
        report["publish_with_sessions"] = try await publications(&world, gateway)
        let stood = await gateway.status().sessions.count
        report["sessions_after"] = stood
        input.fileHandleForWriting.closeFile()
        process.waitUntilExit()
    }

    private static func seconds(_ duration: Duration) -> Double {
        let (whole, rest) = duration.components
        return Double(whole) + Double(rest) / 1e18
    }

    private func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
    }
}
