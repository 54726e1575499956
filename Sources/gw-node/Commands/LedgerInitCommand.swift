import ArgumentParser
import Contracts
import Ledger

/// `ledger init`: keys, database and genesis of a new ledger.
struct LedgerInitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a ledger in an empty directory: its keys, its database and its first entry.",
        discussion: """
            Everybody who uses the ledger pins the id that this prints. root.key decides about the ledger's keys and
            policy and is not needed to serve: move it to a safe place. ledger.key signs checkpoints.

            Example:
              gw-node ledger init /var/lib/ledger --origin ledger.example.org --dev
              gw-node ledger init /var/lib/ledger --origin ledger.example.org --policy policy.txt --name "Example"
              gw-node ledger init /var/lib/ledger --origin ledger.example.org --dev \
                --etcd http://10.0.0.1:2379,http://10.0.0.2:2379,http://10.0.0.3:2379 --cluster main
            """
    )

    @Argument(help: ArgumentHelp("Directory of the ledger; it must be empty or absent.", valueName: "dir"))
    var directory: String
    @Option(
        help: ArgumentHelp("Name of the log in its checkpoints, a host name and if you like a path.", valueName: "name")
    )
    var origin: String
    @Option(help: ArgumentHelp("Name for people; standard: the origin.", valueName: "text"))
    var name: String?
    @Option(help: ArgumentHelp("Witness policy: lines `witness`, `group` and `quorum`.", valueName: "file"))
    var policy: String?
    @Option(
        name: .customLong("reserve"),
        help: ArgumentHelp("A name nobody can create; repeatable.", valueName: "name")
    )
    var reserved: [String] = []
    @Flag(name: .customLong("dev"), help: "A trial ledger without witnesses (`quorum none`).")
    var isDevelopment = false
    @OptionGroup var cluster: EtcdOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let genesis = LedgerDirectory.Genesis(
            origin: origin,
            name: name ?? String(decoding: origin.utf8.prefix(64), as: UTF8.self),
            policy: try witnessPolicy(),
            reserved: reserved,
            time: Posix.now()
        )
        let made =
            if let cluster = try cluster.file() {
                try await LedgerDirectory.initialise(at: directory, genesis, cluster: cluster)
            } else {
                try LedgerDirectory.initialise(at: directory, genesis)
            }
        common.output.result(
            .object([
                ("ledger_id", .string(made.ledgerID.hex)), ("origin", .string(origin)), ("dir", .string(directory)),
                ("verifier_key", .string("\(made.verifierKey)")),
            ]),
            text: """
                ledger id     \(made.ledgerID.hex)
                verifier key  \(made.verifierKey)
                Everybody pins the ledger id. Keep \(directory)/root.key somewhere safe; serving does not need it.
                """
        )
    }

    private func witnessPolicy() throws -> WitnessPolicy {
        switch (isDevelopment, policy) {
        case (true, nil):
            common.output.note("--dev: no witness vouches for this ledger; it is for trials only")
            return .none
        case (true, .some):
            throw CommandFailure(
                .usage,
                "--dev means `quorum none`, so --policy cannot be given with it; give one of them"
            )
        case (false, nil):
            throw CommandFailure(
                .usage,
                "a ledger needs a witness policy: give --policy FILE, or --dev for a trial ledger without witnesses"
            )
        case (false, .some(let path)):
            let bytes = try Files.read(path, limit: WitnessPolicy.longestText, as: "the witness policy")
            guard let policy = WitnessPolicy(String(decoding: bytes, as: UTF8.self)) else {
                throw CommandFailure(
                    .configuration,
                    "the witness policy \(path) is not in the form: lines `witness NAME KEY`, then at most one line "
                        + "`group NAME K WITNESS...`, then one line `quorum NAME`, single spaces, no comments"
                )
            }
            guard policy.quorum != .none else {
                throw CommandFailure(
                    .configuration,
                    "the witness policy \(path) says `quorum none`; a ledger without witnesses is made with --dev"
                )
            }
            if policy.allowsDisjointQuorums {
                common.output.note(
                    "\(path): two quorums need not share a witness, so two histories could both be cosigned"
                )
            }
            return policy
        }
    }
}
