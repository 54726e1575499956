import ArgumentParser
import Contracts
import Ledger

/// `ledger join`: the directory of a further member of a cluster.
struct LedgerJoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Make the directory of a further member of a ledger's cluster.",
        discussion: """
            All members sign with the same key: copy ledger.key of the first one over a safe way. The ledger id is the pin
            that `ledger init` printed. The entries come when the member is served.

            Example:
              gw-node ledger join /var/lib/ledger --etcd http://10.0.0.1:2379,http://10.0.0.2:2379 --cluster main \\
                --ledger-id 3f0c... --key ledger.key
              gw-node ledger serve /var/lib/ledger --listen 10.0.0.5:8080 --dev
            """
    )

    @Argument(help: ArgumentHelp("Directory of the member; it must be empty or absent.", valueName: "dir"))
    var directory: String
    @Option(name: .customLong("ledger-id"), help: ArgumentHelp("The pinned ledger id.", valueName: "hex"))
    var ledgerID: String
    @Option(help: ArgumentHelp("Copy of the first member's ledger.key.", valueName: "file"))
    var key: String
    @OptionGroup var cluster: EtcdOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        guard let id = Identifier(hex: ledgerID) else {
            throw CommandFailure(.usage, "--ledger-id \(ledgerID) is not 64 hex digits; `ledger init` printed them")
        }
        guard let cluster = try cluster.file() else {
            throw CommandFailure(.usage, "to join a cluster give --etcd URLS and --cluster NAME")
        }
        let verifierKey = try await LedgerDirectory.join(
            at: directory,
            cluster: cluster,
            ledgerID: id,
            keyFile: key
        )
        common.output.result(
            .object([
                ("ledger_id", .string(id.hex)), ("origin", .string(verifierKey.name)), ("dir", .string(directory)),
                ("verifier_key", .string("\(verifierKey)")),
            ]),
            text: """
                ledger id     \(id.hex)
                verifier key  \(verifierKey)
                The log comes when the member is served: gw-node ledger serve \(directory) --listen ADDR
                """
        )
    }
}
