import Contracts
import Foundation

/// A ledger, gateways and agents as separate processes of the built `gw-node`, in a folder and on an address of their own.
final class Deployment {
    /// A registered gateway node and how to run it.
    struct Gateway {
        var name: String
        var node: String
        var domain: String
        var address: String
        var http: UInt16
        var https: UInt16
        var tunnel: UInt16
        var leases: ClosedRange<UInt16>
        var configuration: String
    }

    let folder: URL
    let address: String
    private(set) var ledgerID = ""
    private(set) var ledgerPort: UInt16 = 0
    private(set) var ledger: NodeProcess?
    /// The witnesses of the ledger, by name; none for a trial ledger, whose commands all say `--dev`.
    var witnesses: [String: Witness] = [:]
    var isDev: Bool { witnesses.isEmpty }
    /// Where clients are told to find the ledger; a test may put a liar in between.
    var ledgerURL: String { "http://\(address):\(ledgerPort)" }

    /// A ledger, up and answering: a trial ledger, or one with witnesses as processes of their own, of which more than
    /// half make a quorum.
    init(address: String = Loopback.address(), witnesses count: Int = 0) async throws {
        self.address = address
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("gw-\(UUID().uuidString.prefix(12))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        ledgerPort = try Loopback.freePort(address)
        for number in 0..<count { try await addWitness("w\(number + 1)") }
        let vouching = isDev ? ["--dev"] : orderedWitnesses.flatMap { ["--witness", "\($0.key)@\($0.url)"] }
        let made = try await run(
            ["ledger", "init", "ledger", "--origin", "test.example/ledger", "--json"] + vouching
        )
        ledgerID = try made.json()["ledger_id"] as? String ?? ""
        for witness in orderedWitnesses { try await start(witness.name) }
        try await startLedger()
        if !isDev { try await awaitQuorum() }
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    // MARK: Commands

    /// Runs a command to its end; anything but `status` is an error with what it printed. Nil takes any.
    @discardableResult
    func run(_ arguments: [String], status: Int32? = 0, within limit: Double = 30) async throws -> Finished {
        let name = arguments.prefix { !$0.hasPrefix("-") }.prefix(2).joined(separator: "-")
        let process = try NodeProcess(name.replacing("/", with: "-"), arguments, in: folder)
        let finished = try await process.finish(within: limit)
        guard status == nil || finished.status == status else {
            throw NeverHappened(
                description:
                    "gw-node \(arguments.joined(separator: " ")) ended with \(finished.status), not \(status ?? 0)\n"
                    + finished.output + finished.errors
            )
        }
        return finished
    }

    /// Runs a command that talks to the ledger, as `twin`, with a state folder of its own.
    @discardableResult
    func act(_ twin: String, _ arguments: [String], status: Int32 = 0) async throws -> Finished {
        try await run(arguments + ledgerFlags(state: "state-\(twin)") + ["--key", "\(twin).key"], status: status)
    }

    func ledgerFlags(state: String) -> [String] {
        ["--ledger", ledgerURL, "--ledger-id", ledgerID, "--json", "--state", state] + (isDev ? ["--dev"] : [])
    }

    /// A new key and its twin.
    func makeTwin(_ name: String) async throws {
        try await run(["keys", "new", "\(name).key"])
        try await act(name, ["twin", "create"])
    }

    // MARK: Ledger

    func startLedger() async throws {
        ledger = try NodeProcess(
            "ledger",
            ["ledger", "serve", "ledger", "--listen", "\(address):\(ledgerPort)"] + (isDev ? ["--dev"] : []),
            in: folder
        )
        _ = try await ledger!.line(beginning: "listening on http://")
    }

    // MARK: Gateways

    /// Registers a gateway of a farmer that was made with `makeTwin`.
    func makeGateway(
        _ name: String,
        farmer: String,
        domain: String,
        leases: Int = 4,
        address: String = Loopback.address()
    ) async throws -> Gateway {
        let farm = try await act(farmer, ["farm", "create", "--name", "farm-of-\(name)"]).json()["id"] as? String ?? ""
        try await run(["keys", "new", "\(name).key"])
        let place = address
        let tunnel = try Loopback.freePort(place)
        let range = Loopback.leases(leases + 1)
        try write(
            "\(name)-offer.yaml",
            """
            kinds: [http, tcp, tls, udp]
            modes: [overlay, reverse-raw, reverse-tls]
            tcp: [{ from: \(range.lowerBound), to: \(range.upperBound) }]
            bps: 100Gbit
            udp: [{ from: \(range.lowerBound), to: \(range.upperBound) }]
            """
        )
        let node =
            try await act(
                farmer,
                [
                    "node", "register", "--farm", farm, "--node-key", "\(name).key", "--name", name, "--domain", domain,
                    "--endpoint", "tunnel=\(place):\(tunnel)", "--offer", "\(name)-offer.yaml",
                ]
            ).json()["id"] as? String ?? ""
        let gateway = Gateway(
            name: name,
            node: node,
            domain: domain,
            address: place,
            http: try Loopback.freePort(place),
            https: try Loopback.freePort(place),
            tunnel: tunnel,
            leases: range,
            configuration: "\(name).yaml"
        )
        try writeConfiguration(of: gateway)
        return gateway
    }

    /// Writes the gateway's configuration, with another ledger URL when one is given, and more members of `ledger`.
    /// `bind` is for a line of its own below `bind:`, `more` for the end of the file.
    func writeConfiguration(
        of gateway: Gateway,
        ledger url: String? = nil,
        ledgerSettings: String = "",
        bind: String = "",
        more: String = ""
    ) throws {
        let settings = ledgerSettings.isEmpty ? "" : ", \(ledgerSettings)"
        try write(
            gateway.configuration,
            """
            ledger: { urls: ["\(url ?? ledgerURL)"], id: "\(ledgerID)", dev: \(isDev)\(settings) }
            node: { id: "\(gateway.node)", key: \(gateway.name).key }
            state: state-\(gateway.name)
            bind:
              http: ["\(gateway.address):\(gateway.http)"]
              https: ["\(gateway.address):\(gateway.https)"]
              tunnel: ["\(gateway.address):\(gateway.tunnel)"]
              ports: "\(gateway.address)"
              admin: "unix:\(gateway.name).sock"
              \(bind)
            loops: 1
            \(more)
            """
        )
    }

    func start(_ gateway: Gateway) throws -> NodeProcess {
        try NodeProcess(gateway.name, ["run", "--config", gateway.configuration], in: folder)
    }

    func status(of gateway: Gateway) async throws -> [String: Any] {
        try await run(["status", "--config", gateway.configuration, "--json"]).json()
    }

    // MARK: Contracts

    /// Writes a contract file and creates the contract; returns its id. `expose` is YAML lines, one exposure each.
    func makeContract(
        _ user: String,
        agent: String = "agent",
        gateways: [Gateway],
        expose: [String],
        names: [String] = [],
        limits: String = "{ conns: 10000, bps: 100Gbit }",
        conn: String = "reverse-tls",
        more: String = ""
    ) async throws -> String {
        let file = "contract-\(UUID().uuidString.prefix(8)).yaml"
        try write(
            file,
            contractText(
                agent: agent,
                gateways: gateways,
                expose: expose,
                names: names,
                limits: limits,
                conn: conn,
                more: more
            )
        )
        return try await act(user, ["contract", "create", file]).json()["id"] as? String ?? ""
    }

    func contractText(
        agent: String = "agent",
        gateways: [Gateway],
        expose: [String],
        names: [String] = [],
        limits: String = "{ conns: 10000, bps: 100Gbit }",
        conn: String = "reverse-tls",
        more: String = ""
    ) -> String {
        """
        gateways: [\(gateways.map { "\"\($0.node)\"" }.joined(separator: ", "))]
        conn: \(conn)
        backends: [ { id: b1, key: \(agent).key.pub, weight: 100 } ]
        expose:
        \(expose.map { "  - \($0)" }.joined(separator: "\n"))
        names: [\(names.joined(separator: ", "))]
        limits: \(limits)
        valid: 30d
        \(more)
        """
    }

    /// Starts an agent for one contract, with a state folder of its own; `forwards` such as ["web=127.0.0.1:8080"].
    func startAgent(
        _ key: String = "agent",
        contract: String,
        forwards: [String],
        ledger url: String? = nil,
        state: String? = nil,
        more: [String] = []
    ) throws -> NodeProcess {
        var flags = ledgerFlags(state: state ?? "state-\(key)-agent")
        if let url { flags[1] = url }
        let targets = forwards.flatMap { ["--forward", $0] }
        return try NodeProcess(
            "agent-\(key)",
            ["tunnel", "--contract", contract, "--key", "\(key).key"] + targets + flags + more,
            in: folder
        )
    }

    /// A private key of the folder.
    func key(_ file: String) throws -> SigningKey {
        let text = try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8)
        guard let seed = Hex.decode(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw NeverHappened(description: "\(file) is no key file")
        }
        return try SigningKey(seed: seed)
    }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    }
}
