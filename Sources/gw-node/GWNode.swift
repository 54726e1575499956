import ArgumentParser

/// The one executable of WebGW.
@main
struct GWNode: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "gw-node",
        abstract: "Puts services of private networks on the open Internet, as contracts on a verified ledger allow.",
        discussion: """
            Example: a page of this machine on the Internet, through every gateway of the ledger:
              gw-node setup --ledger https://ledger.example.org --ledger-id HEX --key me.key --create-twin
              gw-node expose 127.0.0.1:8080 --name hello

            Exit codes: 0 ok, 1 refused or tampered, 2 usage, 3 unsupported version,
            69 ledger or gateway unreachable, 70 internal error, 75 try again later, 78 bad configuration.
            """,
        version: "gw-node \(version)",
        groupedSubcommands: [
            CommandGroup(
                name: "Everyone",
                subcommands: [KeysCommand.self, TwinCommand.self, SetupCommand.self, WhyCommand.self]
            ),
            CommandGroup(
                name: "Users",
                subcommands: [NameCommand.self, ContractCommand.self, TunnelCommand.self, ExposeCommand.self]
            ),
            CommandGroup(
                name: "Farmers",
                subcommands: [
                    FarmCommand.self, NodeCommand.self, RunCommand.self, StatusCommand.self, UsageCommand.self,
                ]
            ),
            CommandGroup(name: "Auditors", subcommands: [AuditCommand.self]),
            CommandGroup(name: "Operators", subcommands: [LedgerCommand.self, WitnessCommand.self]),
        ]
    )

    /// Runs the command and ends the process; every error leaves as one sentence and an exit code.
    static func main() async {
        Posix.ignoreBrokenPipes()
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Termination.end(after: error)
        }
    }
}
