import ArgumentParser
import Contracts
import Gateway
import Ledger
import Logging

/// `tunnel`: the agent beside the workload.
struct TunnelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tunnel",
        abstract: "Run the agent: dial every gateway of a contract and lead its visitors to local services.",
        discussion: """
            It waits for a ledger, a gateway or a service that is not there yet, and serves only what it was told here,
            whatever a gateway asks. SIGTERM drains: gateways take new visitors to other agents, and those who are here have \
            --drain to end what they do. A second SIGTERM ends at once.

            Example:
              gw-node tunnel --contract ID --key agent.key --forward web=127.0.0.1:8080 --forward redis=unix:/run/redis.sock
              gw-node tunnel --config agent.yaml
              gw-node tunnel --contract ID --key agent.key --forward web=127.0.0.1:8080 --check web=http:/health --wall
              gw-node tunnel --contract ID --key agent.key --forward web=127.0.0.1:8080 --drain 5m
              gw-node tunnel --contract ID --key agent.key --forward web=tls://shop.internal:8443 --tls-ca web=ca.pem
            """
    )

    @Option(help: ArgumentHelp("The agent configuration (YAML), in place of the other options.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("Id of the contract.", valueName: "id")) var contract: String?
    @OptionGroup var target: TargetOptions
    @Flag(
        help: """
            Network wall: serve only while this network namespace has no listener that others can reach and no address that the \
            open network routes to.
            """
    )
    var wall = false
    @Option(help: "Sessions to each gateway, 1 to 8.") var slots = 2
    @Option(
        help: ArgumentHelp(
            "What visitors have to end what they do after SIGTERM, 0s to 1h; 30s when absent.",
            valueName: "time"
        )
    )
    var drain: String?
    @OptionGroup var signing: SigningOptions
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let drain, Self.drain(drain) == nil {
            throw ValidationError("--drain \(drain) must be whole seconds from 0s to 1h, such as 30s")
        }
        if config != nil {
            guard contract == nil, target.isEmpty else {
                throw ValidationError(
                    "--config says what --contract, --forward, --check and --tls-… say; give one or the other"
                )
            }
            return
        }
        guard contract != nil else { throw ValidationError("give --contract ID with --forward, or --config FILE") }
        guard (1...8).contains(slots) else { throw ValidationError("--slots must be from 1 to 8") }
        _ = try target.targets()
    }

    /// Whole seconds within the bounds of a drain; nil for anything else.
    static func drain(_ text: String) -> Duration? {
        Quantities.seconds(text).flatMap { $0 <= AgentRunner.longestDrain ? .seconds($0) : nil }
    }

    func run() async throws {
        let logger = common.logger("gw-node")
        let reference: LedgerReference
        let keyFile: String
        var contracts: [Identifier: [String: ForwardTarget]] = [:]
        var slots = slots
        var isWalled = wall
        var drain = drain.flatMap(Self.drain)
        if let config {
            let file = try AgentFile(config)
            reference = try LedgerReference(file.ledger, state: file.state ?? ledger.state)
            keyFile = file.keyFile
            contracts = file.contracts
            slots = Int(file.slots)
            isWalled = isWalled || file.isWalled
            drain = drain ?? file.drain
        } else {
            contracts[try IdentifierArgument.read(contract ?? "", "contract")] = try target.targets()
            let profile = try Profile.load(ledger.profile)
            reference = try LedgerReference(ledger, profile: profile)
            guard let file = signing.key ?? profile?.key else {
                throw CommandFailure(.usage, "no key is named; give --key FILE, the key of a backend of the contract")
            }
            keyFile = file
        }
        if isWalled {
            let proof = try NetworkWall.prove()
            common.output.event(proof.json, text: proof.text)
        }
        let agent = try AgentRunner(
            key: try KeyFile.read(keyFile),
            contracts: contracts,
            slots: slots,
            isWalled: isWalled,
            drain: drain ?? AgentRunner.defaultDrain,
            folder: reference.stateFolder,
            output: common.output,
            logger: logger
        )
        Posix.raiseFileLimit()
        let watcher = try reference.watcher(logger: logger, isPatient: true)
        defer { watcher.shutdown() }
        try await agent.run(following: watcher)
    }
}
