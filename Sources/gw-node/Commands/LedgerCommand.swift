import ArgumentParser

/// `ledger`: make and serve a ledger.
struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger",
        abstract: "Run a ledger: the log that says what every gateway may serve.",
        discussion: """
            Example:
              gw-node ledger init /var/lib/ledger --origin ledger.example.org --witness VKEY@URL --witness ...
              gw-node ledger serve /var/lib/ledger --listen 127.0.0.1:8080

            Example of a trial ledger without witnesses:
              gw-node ledger init /tmp/trial --origin ledger.example.org --dev
              gw-node ledger serve /tmp/trial --listen 127.0.0.1:8080 --dev
            """,
        subcommands: [
            LedgerInitCommand.self, LedgerJoinCommand.self, LedgerClusterCommand.self, LedgerServeCommand.self,
            LedgerRotateCommand.self, LedgerFsckCommand.self, LedgerRecoverCommand.self, LedgerResolveCommand.self,
            LedgerMirrorCommand.self,
        ]
    )
}
