import ArgumentParser
import Contracts
import Ledger

/// `ledger rotate root`: other root keys.
struct LedgerRotateRootCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "root",
        abstract: "Replace the ledger's root keys.",
        discussion: """
            The new set is what --new-key and --keep name. Every key that is added signs, so its private file is needed.

            Example:
              gw-node keys new root-2.key
              gw-node ledger rotate root --root-key root.key --new-key root-2.key --ledger URL --ledger-id HEX
            """
    )

    @OptionGroup var root: RootKeyOptions
    @Option(
        name: .customLong("new-key"),
        help: ArgumentHelp("Private file of a key that is added; repeatable.", valueName: "file")
    )
    var newKeys: [String] = []
    @Option(
        name: .customLong("keep"),
        help: ArgumentHelp("A root key that stays: 64 hex digits or a .pub file; repeatable.", valueName: "key")
    )
    var kept: [String] = []
    @Option(help: ArgumentHelp("How many of the new root keys have to sign; standard: 1.", valueName: "number"))
    var threshold = 1
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let rootKeys = try root.read()
        let added = try newKeys.map { try KeyFile.read($0) }
        let staying = try kept.map { try KeyFile.publicKey($0) }
        let keys = Array(Set(added.map(\.publicKey) + staying))
        guard (1...8).contains(keys.count), (1...keys.count).contains(threshold) else {
            throw CommandFailure(
                .usage,
                "a ledger has 1 to 8 root keys and a threshold up to their number; \(keys.count) keys and the threshold "
                    + "\(threshold) are given with --new-key, --keep and --threshold"
            )
        }
        try await LedgerSession.run(ledger, nil, common, key: .none) { session in
            let accepted = try await session.decide(by: rootKeys, root.rootKeys, alsoSignedBy: added) { state in
                for key in staying where state.root?.keys.contains(key.keyID) != true {
                    throw CommandFailure(
                        .refused,
                        code: Code.signatureMissing.rawValue,
                        "--keep \(key.hex) is no root key now, so it has to sign: give its private file with --new-key"
                    )
                }
                return .rootRotate(
                    RootRotateBody(
                        root: Quorum(keys, threshold: Int64(threshold)),
                        version: state.rootVersion + 1
                    )
                )
            }
            common.output.result(
                accepted.json,
                text: "root keys changed: \(accepted.text)\nRoot keys that were not kept decide nothing any more."
            )
        }
    }
}
