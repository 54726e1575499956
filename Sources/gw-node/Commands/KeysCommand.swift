import ArgumentParser
import Contracts

/// `keys`: Ed25519 keys in files.
struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Make and show Ed25519 keys.",
        discussion: """
            Example:
              gw-node keys new farmer.key
              gw-node keys show farmer.key
              gw-node keys show witness.key --witness w1.example.org
            """,
        subcommands: [New.self, Show.self]
    )

    struct New: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "new",
            abstract: "Make a key: FILE (private, mode 0600) and FILE.pub; an existing file is never overwritten.",
            discussion: """
                Example:
                  gw-node keys new user.key --json
                """
        )

        @Argument(help: ArgumentHelp("Where the private key goes.", valueName: "file")) var file: String
        @OptionGroup var common: CommonOptions

        func run() throws {
            let key = try KeyFile.create(file)
            KeysCommand.describe(key.publicKey, file: file, common.output, verb: "is new and holds")
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Print the public key and the key id of a key file (private, or .pub).",
            discussion: """
                Example:
                  gw-node keys show user.key
                  gw-node keys show witness.key --witness w1.example.org
                """
        )

        @Argument(help: ArgumentHelp("A private key file, or a .pub file.", valueName: "file")) var file: String
        @Option(
            help: ArgumentHelp("Print the verifier key of a witness of this name too.", valueName: "name")
        )
        var witness: String?
        @OptionGroup var common: CommonOptions

        func run() throws {
            let key = file.hasSuffix(".pub") ? try KeyFile.publicKey(file) : try KeyFile.read(file).publicKey
            let verifierKey = try witness.map { try WitnessCommand.verifierKey($0, key) }
            KeysCommand.describe(key, file: file, common.output, verb: "holds", verifierKey: verifierKey)
        }
    }

    private static func describe(
        _ key: PublicKey,
        file: String,
        _ output: Output,
        verb: String,
        verifierKey: VerifierKey? = nil
    ) {
        var members: [(String, JSONText)] = [
            ("key_id", .string(key.keyID.hex)), ("public_key", .string(key.hex)), ("file", .string(file)),
        ]
        var lines = [
            "\(file) \(verb) an Ed25519 key", "public key  \(key.hex)", "key id      \(key.keyID.hex)",
        ]
        if let verifierKey {
            members.append(("verifier_key", .string("\(verifierKey)")))
            lines.append("verifier key  \(verifierKey)")
        }
        output.result(.object(members), text: lines.joined(separator: "\n"))
    }
}
