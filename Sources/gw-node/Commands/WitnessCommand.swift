import ArgumentParser
import Contracts
import Ledger

/// `witness`: cosign the checkpoints of a ledger.
struct WitnessCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "witness",
        abstract: "Be a witness: cosign the checkpoints of a ledger that extend what was cosigned before.",
        discussion: """
            A witness has a key of its own, in the hands of somebody else than the ledger's operator. Its operator gives the
            verifier key and the URL to the ledger's operator, who names both at `ledger init`.

            Example:
              gw-node keys new w1.key
              gw-node witness key w1.key --name w1.example.org
              gw-node witness serve --key w1.key --name w1.example.org --ledger https://ledger.example.org \\
                --ledger-id HEX --listen 0.0.0.0:7445 --state /var/lib/gw-witness
            """,
        subcommands: [WitnessServeCommand.self, Key.self]
    )

    struct Key: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "key",
            abstract: "Print the verifier key of a witness, as witness policies name it.",
            discussion: """
                Example:
                  gw-node witness key w1.key --name w1.example.org
                """
        )

        @Argument(help: ArgumentHelp("The witness's key file (private, or .pub).", valueName: "file")) var file: String
        @Option(help: ArgumentHelp("Name of the witness in its signature lines.", valueName: "name")) var name: String
        @OptionGroup var common: CommonOptions

        func run() throws {
            let key = file.hasSuffix(".pub") ? try KeyFile.publicKey(file) : try KeyFile.read(file).publicKey
            let text = "\(try WitnessCommand.verifierKey(name, key))"
            common.output.result(.object([("verifier_key", .string(text)), ("file", .string(file))]), text: text)
        }
    }

    /// The verifier key of a witness with this name.
    static func verifierKey(_ name: String, _ key: PublicKey) throws(CommandFailure) -> VerifierKey {
        guard WitnessIdentity.isName(name) else {
            throw CommandFailure(
                .usage,
                "\"\(name)\" is no name of a witness: 1 to 128 visible characters without spaces and `+`, such as "
                    + "w1.example.org"
            )
        }
        return VerifierKey(name: name, type: VerifierKey.cosignatureType, key: key)
    }
}
