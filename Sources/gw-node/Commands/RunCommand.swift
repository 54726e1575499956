import ArgumentParser
import Contracts
import Gateway
import Ledger
import Logging

/// `run`: the gateway.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a gateway: follow the ledger, serve what its contracts allow, report what is served.",
        discussion: """
            SIGHUP reads the configuration again, SIGTERM drains, a second SIGTERM ends at once.

            Example:
              gw-node run --config gateway.yaml --check
              gw-node run --config gateway.yaml
              gw-node run --config gateway.yaml --paranoid
            """
    )

    @Option(help: ArgumentHelp("The gateway configuration (YAML).", valueName: "file")) var config: String
    @Flag(name: .customLong("check"), help: "Print the effective configuration, secrets masked, and exit.")
    var isCheck = false
    @Flag(
        name: .customLong("paranoid"),
        help: "After a start from a snapshot, verify the whole history in the background; halt if it differs."
    )
    var isParanoid = false
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let read: @Sendable () throws -> GatewaySettings = { [config, isParanoid] in
            var file = try GatewayFile(config)
            if isParanoid { file.ledger.isParanoid = true }
            return try GatewaySettings(file)
        }
        let settings = try read()
        if isCheck {
            common.output.result(settings.json, text: settings.text)
            return
        }
        if let admin = settings.file.admin { try await Self.refuseIfAnswering(admin) }
        Posix.raiseFileLimit()
        let logger = common.logger("gw-node", standard: .info)
        let node = try GatewayNode(settings, logger: logger)
        try await node.run(reload: read)
    }

    /// A second gateway must not take the admin socket of a living one; what a killed one left is taken.
    private static func refuseIfAnswering(_ path: String) async throws {
        guard try Posix.status(path) != nil, (try? await AdminClient(path: path).get("/status")) != nil else { return }
        throw CommandFailure(
            .configuration,
            code: "admin.socket",
            "another gateway answers at the admin socket \(path); stop it, or give this one another `bind.admin`"
        )
    }
}
