import ArgumentParser
import Contracts
import Ledger

/// `ledger rotate`: other root keys, ledger keys or witnesses, decided by the root keys.
struct LedgerRotateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Change the root keys, the ledger keys or the witness policy of a ledger; root keys decide.",
        discussion: """
            The ledger has to be served while this runs. For 14 days of ledger time its checkpoints satisfy the old and the
            new keys and policy, so that nobody who follows it notices.

            Example:
              gw-node ledger rotate keys /var/lib/ledger --root-key root.key --ledger URL --ledger-id HEX
              gw-node ledger rotate policy /var/lib/ledger --root-key root.key --witness VKEY@URL --witness ... \\
                --ledger URL --ledger-id HEX
              gw-node ledger rotate root --root-key root.key --new-key root-2.key --ledger URL --ledger-id HEX
            """,
        subcommands: [LedgerRotateRootCommand.self, LedgerRotateKeysCommand.self, LedgerRotatePolicyCommand.self]
    )
}

/// The root keys that sign.
struct RootKeyOptions: ParsableArguments {
    @Option(
        name: .customLong("root-key"),
        help: ArgumentHelp("Private root key file; repeat it up to the ledger's threshold.", valueName: "file")
    )
    var rootKeys: [String] = []

    func read() throws(CommandFailure) -> [SigningKey] {
        guard !rootKeys.isEmpty else {
            throw CommandFailure(.usage, "no root key is named; give --root-key FILE, as often as the threshold asks")
        }
        var keys: [SigningKey] = []
        for path in rootKeys {
            let key = try KeyFile.read(path)
            guard !keys.contains(where: { $0.keyID == key.keyID }) else {
                throw CommandFailure(.usage, "--root-key \(path) is given twice; a key signs once")
            }
            keys.append(key)
        }
        return keys
    }
}

extension LedgerSession {
    /// Submits an entry that the ledger's root keys decide about.
    ///
    /// What the ledger would refuse for want of keys is refused here, in words.
    func decide(
        by rootKeys: [SigningKey],
        _ files: [String],
        alsoSignedBy others: [SigningKey] = [],
        _ body: (ContractState) throws -> EntryBody
    ) async throws -> Submission {
        let state = try await state()
        guard let ledger = state.ledgerID, let root = state.root else {
            throw CommandFailure(.refused, "the ledger has no root keys")
        }
        for (key, file) in zip(rootKeys, files) where !root.keys.contains(key.keyID) {
            throw CommandFailure(
                .refused,
                code: Code.signerUnknown.rawValue,
                "\(file) (\(key.keyID.hex)) is not among the ledger's root keys; they are "
                    + root.keys.ids.map(\.hex).joined(separator: ", ")
            )
        }
        guard Int64(rootKeys.count) >= root.threshold else {
            throw CommandFailure(
                .refused,
                code: Code.signatureMissing.rawValue,
                "\(root.threshold) of the ledger's \(root.keys.count) root keys have to sign, and \(rootKeys.count) "
                    + "are given; add --root-key FILE"
            )
        }
        let body = try body(state)
        // Of the root keys exactly the threshold signs, or one signature would be unexpected; only a change of the root
        // keys may carry more.
        let isRotation = if case .rootRotate = body { true } else { false }
        let signing = isRotation ? rootKeys : Array(rootKeys.prefix(Int(root.threshold)))
        let added = others.filter { other in !signing.contains { $0.keyID == other.keyID } }
        return try await Submitter(watcher: watcher)
            .submit(body, account: ledger, key: signing[0], cosigners: Array(signing.dropFirst()) + added)
    }
}
