import Foundation
import TestSupport
import Testing

@Suite("Commands that keep running")
struct RunningCommandTests {
    let folder: TemporaryFolder
    let ledger: TrialLedger
    /// An address and ports that no other test uses; registered on the ledger before anything is bound.
    let address = "127.\(Int.random(in: 1...250)).\(Int.random(in: 1...250)).\(Int.random(in: 1...250))"
    let httpPort = Int.random(in: 20_000...24_999)
    let tunnelPort = Int.random(in: 25_000...29_999)

    init() async throws {
        folder = try TemporaryFolder()
        ledger = try await TrialLedger(in: folder)
        try await ledger.join("user")
        let node = try await ledger.registerGateway(
            tunnel: "\(address):\(tunnelPort)",
            ["--endpoint", "http=\(address):\(httpPort)"]
        )
        let id = try #require(node.json?["id"] as? String, "\(node)")
        try folder.write("gateway.yaml", configuration(node: id))
    }

    private func configuration(node: String) -> String {
        """
        ledger: { urls: ["\(ledger.url)"], id: "\(ledger.id)", dev: true }
        node: { id: "\(node)", key: node.key }
        state: gateway.state
        bind:
          http: ["\(address):\(httpPort)"]
          tunnel: ["\(address):\(tunnelPort)"]
          admin: "unix:admin.sock"
        """
    }

    private func startGateway() async throws -> RunningGWNode {
        let gateway = try RunningGWNode(["run", "--config", "gateway.yaml"], in: folder)
        try await eventually("the gateway answers on its admin socket: \(gateway.complaints)") {
            try await status()?["ledger"] != nil
        }
        return gateway
    }

    private func status() async throws -> [String: Any]? {
        try await GWNode.run(["status", "--config", "gateway.yaml", "--json"], in: folder).json
    }

    private func visit(_ host: String) async throws -> Int {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        process.arguments = [
            "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", "-H", "Host: \(host)",
            "http://\(address):\(httpPort)/",
        ]
        process.standardOutput = pipe
        try process.run()
        process.waitUntilExit()
        return Int(String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)) ?? 0
    }

    @Test("run --check prints what is in force, with secrets masked, and starts nothing")
    func check() async throws {
        let text = try await GWNode.run(["run", "--config", "gateway.yaml", "--check"], in: folder)
        #expect(text.status == 0 && text.output.contains("header_size: 16KiB"), "\(text)")
        let seed = try String(contentsOfFile: folder.path("node.key"), encoding: .utf8).dropLast()
        let json = try await GWNode.run(["run", "--config", "gateway.yaml", "--check", "--json"], in: folder)
        let node = try #require(json.json?["node"] as? [String: Any])
        #expect(node["key"] as? String == "MASKED")
        #expect(!text.output.contains(seed) && !json.output.contains(seed))
        #expect(!folder.names.contains("gateway.state"))
    }

    @Test("a gateway says what it is, keeps its configuration when a new one is wrong, and ends on SIGTERM")
    func signals() async throws {
        let gateway = try await startGateway()
        let status = try #require(try await status())
        #expect(Set(["node", "ledger", "routes", "sessions", "generation"]).isSubset(of: Set(status.keys)))
        let second = try await GWNode.run(["run", "--config", "gateway.yaml"], in: folder)
        #expect(second.status == 78 && second.errors.contains("admin.sock"), "\(second)")

        let good = try String(contentsOfFile: folder.path("gateway.yaml"), encoding: .utf8)
        try folder.write("gateway.yaml", good + "\nlops: 2\n")
        gateway.signal(SIGHUP)
        try await eventually("the wrong file is refused with its line: \(gateway.complaints)") {
            gateway.complaints.contains("gateway.yaml:8: `lops` is not a known key")
        }
        try folder.write("gateway.yaml", good + "\nlimits: { header_size: 8KiB }\n")
        gateway.signal(SIGHUP)
        try await eventually("the right file is taken: \(gateway.complaints)") {
            gateway.complaints.contains("took the changed configuration")
        }
        #expect(try await visit("nobody.gw.example.org") == 404)

        gateway.signal(SIGTERM)
        let ended = await gateway.finish(within: 10)
        #expect(ended.status == 0, "\(ended)")
        #expect(!folder.names.contains("admin.sock"))
    }

    @Test("a gateway that runs with another key than the ledger has says so")
    func wrongKey() async throws {
        let text = try String(contentsOfFile: folder.path("gateway.yaml"), encoding: .utf8)
        try folder.write("gateway.yaml", text.replacing("node.key", with: "agent.key"))
        let gateway = try RunningGWNode(["run", "--config", "gateway.yaml"], in: folder)
        try await eventually("it complains: \(gateway.complaints)") {
            gateway.complaints.contains("agents will refuse this gateway")
        }
    }

    @Test("status without a gateway says so with exit 69")
    func nobody() async throws {
        let result = try await GWNode.run(["status", "--config", "gateway.yaml"], in: folder)
        #expect(result.status == 69 && result.errors.contains("admin.sock"), "\(result)")
    }

    @Test("expose brings a service up by one command, and Ctrl-C takes its contract away")
    func expose() async throws {
        let gateway = try await startGateway()
        let workload = try RunningWorkload(in: folder)
        let port = try await workload.port()
        let expose = try RunningGWNode(
            ["expose", "127.0.0.1:\(port)", "--name", "hello", "--key", "user.key", "--state", "user.state", "--json"]
                + ledger.flags,
            in: folder
        )
        try await eventually(within: 20, "the page is served: \(expose.printed) \(expose.complaints)") {
            try await visit("hello.gw.example.org") == 200
        }
        #expect(expose.printed.contains("{\"event\":\"url\",\"url\":\"http://hello.gw.example.org:\(httpPort)/\"}"))
        try await eventually("the sessions are told: \(expose.printed)") { expose.printed.contains("\"serving\"") }
        expose.signal(SIGINT)
        let ended = await expose.finish(within: 20)
        #expect(ended.status == 0, "\(ended)")
        try await eventually(within: 5, "the page is refused") { try await visit("hello.gw.example.org") == 404 }
        #expect(gateway.isRunning)
    }

    @Test("an agent waits for its ledger, and ends when its contract has ended")
    func tunnel() async throws {
        try folder.write(
            "contract.yaml",
            """
            gateways: [gw1]
            backends: [ { id: b1, key: agent.key.pub } ]
            expose: [ { id: web, kind: http, tls: none, hosts: [shop.gw.example.org] } ]
            names: [shop]
            """
        )
        _ = try await ledger.run("user", "name", "reserve", "shop")
        let contract = try await ledger.run("user", "contract", "create", "contract.yaml", "--json")
        let id = try #require(contract.json?["id"] as? String, "\(contract)")
        func agent(_ key: String, ledger url: String? = nil) throws -> RunningGWNode {
            try RunningGWNode(
                [
                    "tunnel", "--contract", id, "--forward", "web=127.0.0.1:9", "--forward", "www=127.0.0.1:9", "--key",
                    key, "--ledger",
                    url ?? ledger.url, "--ledger-id", ledger.id, "--dev", "--state", "\(key).state", "--json",
                ],
                in: folder
            )
        }
        let waiting = try agent("agent.key", ledger: "http://\(address):9")
        let stranger = try agent("user.key")
        let refused = await stranger.finish(within: 10)
        #expect(refused.status == 1 && refused.output.contains("\"key.not_backend\""), "\(refused)")
        try await eventually("it says what it waits for: \(waiting.complaints)") {
            waiting.complaints.contains("trying again")
        }
        waiting.signal(SIGTERM)
        let stopped = await waiting.finish(within: 10)
        #expect(stopped.status == 0, "\(stopped)")

        let running = try agent("agent.key")
        try await eventually("it dials the gateway that is not there: \(running.complaints)") {
            running.printed.contains("\"lost\"")
        }
        #expect(running.complaints.contains("has no exposure www; it has web"), "\(running.complaints)")
        _ = try await ledger.run("user", "contract", "cancel", id)
        let ended = await running.finish(within: 10)
        #expect(ended.status == 1 && ended.output.contains("\"contract.deleted\""), "\(ended)")
    }
}

/// A web server of Python's standard library, on a port of its own choice.
private final class RunningWorkload {
    private let process = Process()
    private let output: URL

    init(in folder: TemporaryFolder) throws {
        output = folder.url.appendingPathComponent("workload.out")
        _ = FileManager.default.createFile(atPath: output.path, contents: nil)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
        process.currentDirectoryURL = folder.url
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit { process.endNow() }

    func port() async throws -> Int {
        var port: Int?
        try await eventually("the workload says its port") {
            let words = try String(contentsOf: output, encoding: .utf8).split(separator: " ")
            port = words.firstIndex(of: "port").flatMap { words.indices.contains($0 + 1) ? Int(words[$0 + 1]) : nil }
            return port != nil
        }
        return port ?? 0
    }
}
