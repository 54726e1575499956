import ArgumentParser
import Contracts
import Ledger
import Logging

/// `ledger resolve`: the way out of a halt, for an operator who knows which history is the true one.
struct LedgerResolveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract: "Lift the halt of a node after a fork, by naming a checkpoint of the true branch.",
        discussion: """
            Stop the node first. Get the checkpoint from the ledger's operator, its witnesses or auditors, by a way \
            that the false branch has no part in. It must be valid and at quorum, and not below the size that the \
            evidence is about. If the node had trusted the false branch, the true one is verified from genesis on and \
            takes its place. Evidence stays in the state folder.

            Example:
              gw-node ledger resolve --checkpoint true.checkpoint --state /var/lib/gw-node \\
                --ledger https://ledger.example.org --ledger-id ID
            """
    )

    @Option(help: ArgumentHelp("File with the checkpoint of the true branch.", valueName: "file"))
    var checkpoint: String
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let note = try Files.read(checkpoint, limit: 64 << 10, as: "the checkpoint")
        let reference = try LedgerReference(ledger, profile: try Profile.load(ledger.profile))
        let logger = common.logger("gw-node", standard: .notice)
        let resolution = try await HaltResolution.resolve(
            reference.watcherConfiguration,
            note: note,
            logger: logger
        )
        let (size, root, replaced): (UInt64, Digest, String?) =
            switch resolution {
            case .kept(let size, let root): (size, root, nil)
            case .moved(let size, let root, let replaced): (size, root, replaced)
            }
        logger.notice(
            "the halt is lifted by an operator",
            metadata: ["size": "\(size)", "root": "\(root)", "replaced": "\(replaced ?? "nothing")"]
        )
        var members: [(String, JSONText)] = [
            ("branch", .string(replaced == nil ? "kept" : "replaced")), ("size", .integer(Int64(size))),
            ("root", .string(root.hex)),
        ]
        if let replaced { members.append(("old_store", .string(replaced))) }
        let what =
            replaced.map {
                "the trusted history was the false one; the true one was verified from genesis, the old store is \($0)"
            } ?? "the trusted history is the true one"
        common.output.result(.object(members), text: "resolved: \(what); size \(size), root \(root.hex)")
    }
}
