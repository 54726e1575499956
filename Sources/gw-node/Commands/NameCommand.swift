import ArgumentParser
import Contracts

/// `name`: name contracts, which make `<name>.<gateway domain>` the user's on every gateway.
struct NameCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "name",
        abstract: "Reserve and release names under the gateways' domains.",
        discussion: """
            Example:
              gw-node name reserve shop --key user.key
            """,
        subcommands: [Reserve.self, Release.self]
    )

    struct Reserve: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reserve",
            abstract: "Reserve a name, unique over the whole ledger.",
            discussion: """
                Example:
                  gw-node name reserve shop --key user.key
                """
        )

        @Argument(help: "3 to 50 lower-case letters, digits and inner hyphens.") var name: String
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard Grammar.isName(name) else {
                throw ValidationError("the name \(name) must have 3 to 50 lower-case letters, digits and inner hyphens")
            }
        }

        func run() async throws {
            try await LedgerSession.run(ledger, signing, common) { session in
                let accepted = try await session.submit { _, _ in .nameCreate(NameCreateBody(name: name)) }
                common.output.result(accepted.json, text: "name \(name): \(accepted.text)")
            }
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "release",
            abstract: "Give a name back; no live contract may use it.",
            discussion: """
                Example:
                  gw-node name release shop --key user.key
                """
        )

        @Argument(help: "The name, or the id of its name contract.") var name: String
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await LedgerSession.run(ledger, signing, common) { session in
                let accepted = try await session.submit { state, _ in
                    .nameRelease(NameReleaseBody(name: try id(in: state)))
                }
                common.output.result(accepted.json, text: "released \(name): \(accepted.text)")
            }
        }

        private func id(in state: ContractState) throws(CommandFailure) -> Identifier {
            if let id = Identifier(hex: name) { return id }
            guard let (id, _) = state.name(named: name) else {
                throw CommandFailure(
                    .refused,
                    code: "name.unknown",
                    "the name \"\(name)\" is not reserved on this ledger; nothing to do"
                )
            }
            return id
        }
    }
}
