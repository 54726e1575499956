import ArgumentParser
import Contracts
import Ledger

/// `ledger rotate policy`: other witnesses, auditors or billing services.
struct LedgerRotatePolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Change the witnesses of a ledger, its auditors or its billing services.",
        discussion: """
            What is not named stays as it is. The URLs of new witnesses are added to the file `witnesses` in the ledger's
            directory. The old witnesses are needed for 14 more days, until then both policies have to be satisfied.

            Example: w4 gets another key, the other three stay:
              gw-node ledger rotate policy /var/lib/ledger --root-key root.key --witness W1@URL --witness W2@URL \\
                --witness W3@URL --witness NEW-W4@URL --ledger http://127.0.0.1:8080 --ledger-id HEX
            """
    )

    @Argument(help: ArgumentHelp("Directory of the ledger that is served.", valueName: "dir"))
    var directory: String
    @OptionGroup var root: RootKeyOptions
    @Option(
        name: .customLong("witness"),
        help: ArgumentHelp("A witness of the new policy: its verifier key, `@` and its URL.", valueName: "vkey@url")
    )
    var witnesses: [String] = []
    @Option(help: ArgumentHelp("How many witnesses have to cosign; standard: more than half.", valueName: "number"))
    var quorum: Int?
    @Option(help: ArgumentHelp("The new witness policy as a file, instead of --quorum.", valueName: "file"))
    var policy: String?
    @Option(
        name: .customLong("auditor"),
        help: ArgumentHelp("An auditor: its twin, `=` and its verifier key; repeatable.", valueName: "twin=vkey")
    )
    var auditors: [String] = []
    @Option(
        name: .customLong("auditor-quorum"),
        help: ArgumentHelp("How many auditors must attest a snapshot.", valueName: "number")
    )
    var auditorQuorum: Int64?
    @Option(
        name: .customLong("billing"),
        help: ArgumentHelp("Twin that may settle bills; repeatable.", valueName: "twin")
    )
    var billing: [String] = []
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let rootKeys = try root.read()
        let members = try witnesses.map(WitnessOption.read)
        let changed = try newPolicy(members)
        let auditors = try auditors.map(Self.auditor)
        let billing = try billing.map { try IdentifierArgument.read($0, "billing") }
        try await LedgerSession.run(ledger, nil, common, key: .none) { session in
            if !members.isEmpty { try WitnessOption.add(members, to: directory) }
            let accepted = try await session.decide(by: rootKeys, root.rootKeys) { state in
                guard let policy = changed ?? state.policy else {
                    throw CommandFailure(.refused, "the ledger has no policy")
                }
                let body = PolicySetBody(
                    auditorQuorum: auditorQuorum ?? state.auditorQuorum,
                    auditors: auditors.isEmpty ? state.auditors : auditors.sorted { $0.twin < $1.twin },
                    billing: billing.isEmpty ? state.billing : Array(Set(billing)).sorted(),
                    policy: policy,
                    version: state.policyVersion + 1
                )
                guard body.auditorQuorum <= Int64(body.auditors.count) else {
                    throw CommandFailure(
                        .usage,
                        "--auditor-quorum \(body.auditorQuorum) is more than the \(body.auditors.count) auditors"
                    )
                }
                return .policySet(body)
            }
            if let changed, changed.allowsDisjointQuorums {
                common.output.note("two quorums of the new policy need not share a witness")
            }
            common.output.result(
                accepted.json,
                text: "policy changed: \(accepted.text)\nThe old witnesses are needed for 14 more days."
            )
        }
    }

    /// The witness policy that the flags name; nil when the present one stays.
    private func newPolicy(_ members: [WitnessRoster.Member]) throws(CommandFailure) -> WitnessPolicy? {
        guard let policy else {
            guard members.isEmpty else { return try WitnessOption.policy(members, quorum: quorum) }
            guard quorum == nil else {
                throw CommandFailure(.usage, "--quorum counts the witnesses given with --witness; name all of them")
            }
            return nil
        }
        guard quorum == nil else {
            throw CommandFailure(.usage, "a --policy FILE says its quorum itself; leave --quorum out")
        }
        return try WitnessOption.policy(file: policy)
    }

    private static func auditor(_ text: String) throws(CommandFailure) -> Auditor {
        let parts = text.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, let twin = Identifier(hex: String(parts[0])),
            let key = VerifierKey(String(parts[1]), type: VerifierKey.noteType)
        else {
            throw CommandFailure(
                .usage,
                "--auditor \(text) is not TWIN=VERIFIER-KEY, 64 hex digits and a key of type 1"
            )
        }
        return Auditor(twin: twin, key: key)
    }
}
