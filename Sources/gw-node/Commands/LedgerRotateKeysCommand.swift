import ArgumentParser
import Contracts
import Ledger

/// `ledger rotate keys`: another key that signs checkpoints.
struct LedgerRotateKeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Give the ledger a new key for its checkpoints, and take the old ones away.",
        discussion: """
            The new key is made in the ledger's directory, where the server finds it. Old key files stay there for 14 days:
            until then checkpoints carry their signatures too.

            Example:
              gw-node ledger rotate keys /var/lib/ledger --root-key root.key --ledger http://127.0.0.1:8080 --ledger-id HEX
            """
    )

    @Argument(help: ArgumentHelp("Directory of the ledger that is served.", valueName: "dir"))
    var directory: String
    @OptionGroup var root: RootKeyOptions
    @Flag(name: .customLong("keep"), help: "Keep the present ledger keys beside the new one.")
    var keepsOld = false
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let rootKeys = try root.read()
        try await LedgerSession.run(ledger, nil, common, key: .none) { session in
            let state = try await session.state()
            guard let origin = state.meta?.origin else { throw CommandFailure(.refused, "the ledger has no genesis") }
            for (key, file) in zip(rootKeys, root.rootKeys) where state.root?.keys.contains(key.keyID) != true {
                throw CommandFailure(
                    .refused,
                    code: Code.signerUnknown.rawValue,
                    "\(file) (\(key.keyID.hex)) is not among the ledger's root keys"
                )
            }
            let version = state.ledgerKeysVersion + 1
            let file = "\(directory)/ledger-\(version).key"
            // An attempt before this one may have made the key and not changed the ledger.
            let isThere = (try? Posix.status(file)) != nil
            let key = isThere ? try KeyFile.read(file) : try KeyFile.create(file)
            let verifierKey = VerifierKey(name: origin, type: VerifierKey.noteType, key: key.publicKey)
            let accepted = try await session.decide(by: rootKeys, root.rootKeys, alsoSignedBy: [key]) { state in
                let old = keepsOld ? state.ledgerKeys : []
                return .ledgerKeys(LedgerKeysBody(keys: (old + [verifierKey]).sorted(), version: version))
            }
            common.output.result(
                accepted.json(adding: [("verifier_key", .string("\(verifierKey)")), ("file", .string(file))]),
                text: """
                    ledger key changed: \(accepted.text)
                    verifier key  \(verifierKey)
                    private key   \(file)
                    Leave the old key files where they are for 14 days; then they can go.
                    """
            )
        }
    }
}
