import ArgumentParser
import Contracts
import Ledger

/// `ledger cluster`: a cluster of a ledger that exists.
struct LedgerClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Make a ledger on one server the first member of a cluster; its log, keys and checkpoints go on.",
        discussion: """
            Stop `ledger serve` first. The log stays in the directory; etcd is told where it ends, and the next members take
            the entries from this one. Nobody who uses the ledger has to change anything.

            When the etcd of a cluster is lost, or was restored from an old copy, stop all members, and make a new cluster
            of the one with the largest log; the others join it with new directories.

            Example:
              gw-node ledger cluster /var/lib/ledger --cluster main \\
                --etcd http://10.0.0.1:2379,http://10.0.0.2:2379,http://10.0.0.3:2379
              gw-node ledger serve /var/lib/ledger --listen 10.0.0.5:8080

            Example after etcd was restored:
              gw-node ledger cluster /var/lib/ledger --cluster main-2 --instead-of main --etcd http://10.0.0.1:2379
            """
    )

    @Argument(help: ArgumentHelp("Directory of the ledger.", valueName: "dir"))
    var directory: String
    @Option(
        name: .customLong("instead-of"),
        help: ArgumentHelp("The cluster that the directory leaves, whose members are all stopped.", valueName: "name")
    )
    var former: String?
    @OptionGroup var cluster: EtcdOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        guard let cluster = try cluster.file() else {
            throw CommandFailure(.usage, "to make a cluster give --etcd URLS and --cluster NAME")
        }
        let founded = try await LedgerDirectory.found(at: directory, cluster: cluster, insteadOf: former)
        common.output.result(
            .object([
                ("ledger_id", .string(founded.ledgerID.hex)), ("origin", .string(founded.verifierKey.name)),
                ("dir", .string(directory)), ("verifier_key", .string("\(founded.verifierKey)")),
                ("cluster", .string(cluster.cluster)), ("size", .integer(Int64(founded.size))),
            ]),
            text: """
                ledger id  \(founded.ledgerID.hex)
                cluster    \(cluster.cluster), which goes on from \(founded.size) entries
                Serve it:  gw-node ledger serve \(directory) --listen ADDR
                """
        )
    }
}
