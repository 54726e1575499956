import ArgumentParser
import Contracts

/// `farm`: the farmer's business, under which gateways are registered.
struct FarmCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "farm",
        abstract: "Create farms, under which gateways are registered.",
        discussion: """
            Example:
              gw-node farm create --name north --key farmer.key
            """,
        subcommands: [Create.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Create a farm, owned by the twin of the key.",
            discussion: """
                Example:
                  gw-node farm create --name north --key farmer.key
                """
        )

        @Option(help: "Name of the farm, unique on the ledger.") var name: String
        @Option(help: "How to reach the farmer; public.") var contact: String?
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard Grammar.isName(name) else {
                throw ValidationError("--name \(name) must have 3 to 50 lower-case letters, digits and inner hyphens")
            }
            guard contact.map({ Grammar.isText($0, 1...256) }) ?? true else {
                throw ValidationError("--contact must be one line of at most 256 bytes")
            }
        }

        func run() async throws {
            try await LedgerSession.run(ledger, signing, common) { session in
                let accepted = try await session.submit { _, _ in
                    .farmCreate(FarmCreateBody(name: name, contact: contact))
                }
                common.output.result(accepted.json, text: "farm \(name): \(accepted.text)")
            }
        }
    }
}
