import Foundation

/// A trial ledger served by a `gw-node` of its own, and the flags by which others use it.
public final class TrialLedger: Sendable {
    public let folder: TemporaryFolder
    public let id: String
    public let url: String
    private let process: RunningGWNode

    public init(in folder: TemporaryFolder) async throws {
        self.folder = folder
        let made = try await GWNode.run(
            ["ledger", "init", "ledger", "--origin", "test.example.org", "--dev", "--json"],
            in: folder
        )
        guard let id = made.json?["ledger_id"] as? String else {
            throw NotInTime(description: "ledger init failed: \(made)")
        }
        self.id = id
        process = try RunningGWNode(["ledger", "serve", "ledger", "--listen", "127.0.0.1:0", "--dev"], in: folder)
        url = try await process.line(beginning: "listening on ")
    }

    /// Flags that name this ledger and its pin.
    public var flags: [String] { ["--ledger", url, "--ledger-id", id, "--dev"] }

    /// Runs a command of a person whose key is `<person>.key` and whose state is in `<person>.state`.
    public func run(_ person: String, _ arguments: String...) async throws -> GWNode.Result {
        try await run(person, arguments)
    }

    private func run(_ person: String, _ arguments: [String]) async throws -> GWNode.Result {
        try await GWNode.run(
            arguments + flags + ["--key", "\(person).key", "--state", "\(person).state", "--log-level", "error"],
            in: folder
        )
    }

    /// Makes a key and a twin for a person.
    public func join(_ person: String) async throws {
        _ = try await GWNode.run(["keys", "new", "\(person).key"], in: folder)
        let result = try await run(person, "twin", "create")
        guard result.status == 0 else { throw NotInTime(description: "twin create failed: \(result)") }
    }

    /// A farmer with a farm "north" and a gateway "gw1" under gw.example.org; `node.key` is the gateway's, `agent.key` lies beside it.
    public func registerGateway(
        tunnel: String = "127.0.0.1:7443",
        _ options: [String] = []
    ) async throws -> GWNode.Result {
        try await join("farmer")
        for key in ["node.key", "agent.key"] { _ = try await GWNode.run(["keys", "new", key], in: folder) }
        let farm = try await run("farmer", ["farm", "create", "--name", "north"])
        guard farm.status == 0 else { throw NotInTime(description: "farm create failed: \(farm)") }
        let node = try await registerNode(
            "gw1",
            by: "farmer",
            ["--domain", "gw.example.org", "--endpoint", "tunnel=\(tunnel)"] + options
        )
        guard node.status == 0 else { throw NotInTime(description: "node register failed: \(node)") }
        return node
    }

    /// `node register` of `node.key` in the farm "north" by any person, whatever comes of it.
    public func registerNode(_ name: String, by person: String, _ options: [String]) async throws -> GWNode.Result {
        let arguments = ["node", "register", "--farm", "north", "--node-key", "node.key", "--name", name, "--json"]
        return try await run(person, arguments + options)
    }
}
