import ArgumentParser
import Contracts

/// `twin`: the principal on the ledger that owns everything a key does.
struct TwinCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "twin",
        abstract: "Create and show twins, the principals of the ledger.",
        discussion: """
            Example:
              gw-node twin create --key user.key
              gw-node twin show --key user.key
            """,
        subcommands: [Create.self, Show.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Put a twin on the ledger, owned by the key.",
            discussion: """
                Example:
                  gw-node twin create --key user.key --ledger https://ledger.example.org --ledger-id HEX
                """
        )

        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await LedgerSession.run(ledger, signing, common) { session in
                let key = try session.requireKey()
                if let twin = try await session.state().twins(of: key.keyID).first {
                    throw CommandFailure(
                        .refused,
                        code: "twin.exists",
                        "the key \(key.keyID.hex) owns the twin \(twin.hex) already; use that one"
                    )
                }
                let accepted = try await session.createTwin(key)
                common.output.result(accepted.json, text: "twin \(accepted.text)")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Print a twin of the verified ledger: by id, or the one that a key belongs to.",
            discussion: """
                Example:
                  gw-node twin show --key user.key
                """
        )

        @Argument(help: ArgumentHelp("Id of the twin; without it, the twin of --key.", valueName: "id"))
        var id: String?
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            try await LedgerSession.run(ledger, signing, common, key: id == nil ? .required : .none) { session in
                let state = try await session.state()
                let twin: Identifier
                if let id {
                    twin = try IdentifierArgument.read(id, "twin")
                } else {
                    twin = try session.actor(in: state).twin
                }
                guard let row = state.twin(twin) else {
                    throw CommandFailure(
                        .refused,
                        code: "twin.unknown",
                        "the ledger has no twin \(twin.hex); check the id"
                    )
                }
                common.output.result(
                    .object([
                        ("id", .string(twin.hex)), ("created", .integer(row.created)),
                        ("version", .integer(row.version)),
                        ("owner_keys", .array(row.keys.owner.keys.keys.map { .string($0.hex) })),
                        ("owner_threshold", .integer(row.keys.owner.threshold)),
                        ("operator_keys", .array(row.keys.operators.keys.map { .string($0.hex) })),
                    ]),
                    text: """
                        twin \(twin.hex)
                        created     \(CalendarTime.text(row.created)), version \(row.version)
                        owner keys  \(row.keys.owner.keys.keys.map(\.hex).joined(separator: "\n            "))
                        """
                )
            }
        }
    }
}

/// Ids on the command line.
enum IdentifierArgument {
    static func read(_ text: String, _ what: String) throws(CommandFailure) -> Identifier {
        guard let id = Identifier(hex: text) else {
            throw CommandFailure(.usage, "\"\(text)\" is no \(what) id; it must be 64 hex digits in lower case")
        }
        return id
    }
}
