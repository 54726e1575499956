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

            A ledger that others rely on needs witnesses, best four in different hands; with --witness more than half of them
            have to cosign, 3 of 4. Each witness's operator gives you what `gw-node witness key` prints, and its URL.

            Example:
              gw-node ledger init /var/lib/ledger --origin ledger.example.org \\
                --witness w1.example.org+1a2b3c4d+BASE64@https://w1.example.org --witness ... --witness ... --witness ...
              gw-node ledger serve /var/lib/ledger --listen 127.0.0.1:8080
              each witness: gw-node witness serve --ledger https://ledger.example.org --ledger-id HEX ...

            Example of a trial ledger without witnesses:
              gw-node ledger init /tmp/trial --origin ledger.example.org --dev

            Example of a trial ledger on several servers:
              gw-node ledger init /var/lib/ledger --origin ledger.example.org --dev \\
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
    @Option(
        name: .customLong("witness"),
        help: ArgumentHelp("A witness: its verifier key, `@` and its URL; repeatable.", valueName: "vkey@url")
    )
    var witnesses: [String] = []
    @Option(help: ArgumentHelp("How many witnesses have to cosign; standard: more than half.", valueName: "number"))
    var quorum: Int?
    @Option(
        help: ArgumentHelp(
            "Witness policy instead of the one that --witness makes: lines `witness`, `group` and `quorum`.",
            valueName: "file"
        )
    )
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
        let members = try witnesses.map(WitnessOption.read)
        let genesis = LedgerDirectory.Genesis(
            origin: origin,
            name: name ?? String(decoding: origin.utf8.prefix(64), as: UTF8.self),
            policy: try witnessPolicy(members),
            reserved: reserved,
            time: Posix.now(),
            witnesses: members
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
                \(nextStep(made.ledgerID, members))
                """
        )
    }

    private func nextStep(_ id: Identifier, _ members: [WitnessRoster.Member]) -> String {
        if isDevelopment { return "Next: gw-node ledger serve \(directory) --listen 127.0.0.1:8080 --dev" }
        if members.isEmpty {
            return
                "Next: write \(directory)/\(WitnessRoster.fileName), a line `VERIFIER-KEY URL` for each witness; then "
                + "gw-node ledger serve \(directory) --listen ADDR"
        }
        return "Next: gw-node ledger serve \(directory) --listen ADDR; each witness runs `gw-node witness serve` with "
            + "--ledger-id \(id.hex) and the ledger's URL"
    }

    private func witnessPolicy(_ members: [WitnessRoster.Member]) throws -> WitnessPolicy {
        if isDevelopment, !members.isEmpty || quorum != nil {
            throw CommandFailure(
                .usage,
                "--dev means a ledger without witnesses, so --witness and --quorum cannot be given with it"
            )
        }
        if policy == nil, !members.isEmpty { return warned(try WitnessOption.policy(members, quorum: quorum)) }
        guard quorum == nil else {
            throw CommandFailure(
                .usage,
                "--quorum counts the witnesses given with --witness; a --policy FILE says its quorum itself"
            )
        }
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
                "a ledger needs witnesses: give --witness VKEY@URL for each (see --help), or --dev for a trial ledger "
                    + "without any"
            )
        case (false, .some(let path)):
            let policy = try WitnessOption.policy(file: path)
            guard policy.quorum != .none else {
                throw CommandFailure(
                    .configuration,
                    "the witness policy \(path) says `quorum none`; a ledger without witnesses is made with --dev"
                )
            }
            for member in members where !policy.witnesses.contains(where: { $0.key == member.key }) {
                throw CommandFailure(.usage, "--witness \(member.key.name) is not in the policy \(path)")
            }
            return warned(policy)
        }
    }

    private func warned(_ policy: WitnessPolicy) -> WitnessPolicy {
        if policy.allowsDisjointQuorums {
            common.output.note(
                "two quorums of this policy need not share a witness, so two histories could both be cosigned; "
                    + "let more than half of the witnesses make a quorum"
            )
        }
        return policy
    }
}
