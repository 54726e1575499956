import ArgumentParser
import Contracts

/// `contract`: what a user exposes, as signed entries of the ledger.
struct ContractCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract",
        abstract: "Plan, create, change, look at and cancel contracts.",
        discussion: """
            Example:
              gw-node contract plan contract.yaml --key user.key
              gw-node contract create contract.yaml --key user.key
              gw-node contract show ID
              gw-node contract cancel ID --key user.key
            """,
        subcommands: [Plan.self, Create.self, Show.self, List.self, Update.self, Cancel.self]
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Sign a contract and put it on the ledger.",
            discussion: """
                The file, all of whose keys docs/operations/user.md explains:
                  gateways: [north/gw1, south/gw2]
                  backends: [ { id: b1, key: agent.key.pub } ]
                  expose: [ { id: web, kind: http, tls: none, hosts: [shop.gw.example.org] } ]
                  names: [shop]
                  valid: 90d
                `conn: reverse-raw` gives the visitors of exposures that are all of kind tls plain connections, for bulk.

                Example:
                  gw-node contract create contract.yaml --key user.key
                """
        )

        @Argument(help: ArgumentHelp("The contract file (YAML).", valueName: "file")) var file: String
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let contract = try ContractFile(file)
            try await LedgerSession.run(ledger, signing, common) { session in
                let accepted = try await session.submit { state, actor in
                    let spec = try contract.spec(in: state, owner: actor.twin, version: 1)
                    return .contractCreate(ContractCreateBody(spec: spec))
                }
                common.output.result(accepted.json, text: "contract \(accepted.text)")
            }
        }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "update",
            abstract: "Replace the terms of a contract by those of a file.",
            discussion: """
                The live window keeps its begin unless the file says `not_before`.

                Example:
                  gw-node contract update ID contract.yaml --key user.key
                """
        )

        @Argument(help: "Id of the contract.") var id: String
        @Argument(help: ArgumentHelp("The contract file (YAML).", valueName: "file")) var file: String
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let id = try IdentifierArgument.read(id, "contract")
            let contract = try ContractFile(file)
            try await LedgerSession.run(ledger, signing, common) { session in
                let accepted = try await session.submit { state, actor in
                    let old = try ContractCommand.row(id, in: state)
                    let spec = try contract.spec(
                        in: state,
                        owner: actor.twin,
                        version: old.version + 1,
                        start: old.spec?.notBefore
                    )
                    return .contractUpdate(ContractUpdateBody(contract: id, spec: spec))
                }
                common.output.result(accepted.json, text: "contract \(id.hex) updated: entry \(accepted.text)")
            }
        }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cancel",
            abstract: "End a contract; its gateways stop serving at once.",
            discussion: """
                Example:
                  gw-node contract cancel ID --key user.key
                """
        )

        @Argument(help: "Id of the contract.") var id: String
        @OptionGroup var signing: SigningOptions
        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var common: CommonOptions

        func run() async throws {
            let id = try IdentifierArgument.read(id, "contract")
            try await LedgerSession.run(ledger, signing, common) { session in
                let accepted = try await session.submit { _, _ in
                    .contractCancel(ContractCancelBody(contract: id))
                }
                common.output.result(accepted.json, text: "contract \(id.hex) canceled: entry \(accepted.text)")
            }
        }
    }

    static func row(_ id: Identifier, in state: ContractState) throws(CommandFailure) -> ContractRow {
        guard let row = state.contract(id) else {
            throw CommandFailure(
                .refused,
                code: "contract.unknown",
                "the ledger has no contract \(id.hex); check the id with `gw-node contract list`"
            )
        }
        return row
    }
}
