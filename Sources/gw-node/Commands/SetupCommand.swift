import ArgumentParser
import Contracts
import Ledger

/// `setup`: writes a profile once, so that nobody types ledger, pin and key again.
struct SetupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Write a profile (ledger, pinned id, key) that the other commands use; create the twin on request.",
        discussion: """
            The ledger is reached and verified before anything is written.

            Example:
              gw-node setup --ledger https://ledger.example.org --ledger-id HEX --key user.key --create-twin
            """
    )

    @Flag(name: .customLong("create-twin"), help: "Create the twin of the key when the ledger has none.")
    var createsTwin = false
    @OptionGroup var signing: SigningOptions
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard !createsTwin || signing.key != nil else {
            throw ValidationError("--create-twin needs --key FILE; make one with `gw-node keys new FILE`")
        }
    }

    func run() async throws {
        var fresh = ledger
        // Setup writes the profile that others read; an old one of that name decides nothing.
        fresh.profile = nil
        try await LedgerSession.run(fresh, signing, common, key: .optional, usesProfile: false) { session in
            var twin = signing.twin
            if let key = session.key, twin == nil {
                let owned = try await session.state().twins(of: key.keyID)
                if owned.isEmpty, createsTwin {
                    twin = try await session.createTwin(key).id.hex
                } else if owned.count == 1 {
                    twin = owned[0].hex
                }
            } else {
                _ = try await session.state()
            }
            let profile = Profile(
                ledgers: session.reference.urls,
                ledgerID: session.reference.id.hex,
                isDevelopment: session.reference.isDevelopment,
                key: try signing.key.map { try Posix.absolute($0) },
                twin: twin
            )
            let path = try profile.save(ledger.profile)
            common.output.result(
                .object([
                    ("profile", .string(path)), ("ledger_id", .string(profile.ledgerID)),
                    ("twin", twin.map(JSONText.string) ?? .null),
                ]),
                text: "wrote \(path)" + (twin.map { "\nacting twin \($0)" } ?? "")
            )
        }
    }
}
