import ArgumentParser
import Contracts
import Ledger

extension AuditCommand {
    struct Pack: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pack",
            abstract: "Make a signed fixture pack of a log: its files, what a replay yields, and attacks on it.",
            discussion: """
                The log is verified first, and the pack is replayed before it appears under its name. The same log and keys
                give the same bytes. Attacks that need the ledger's key are made only when it is given.

                Example:
                  gw-node audit pack https://ledger.example.org pack --ledger-id HEX --manifest-key-file auditor.key
                """
        )

        @OptionGroup var options: Options

        @Argument(help: ArgumentHelp("Folder of the pack; it must not exist yet.", valueName: "folder"))
        var folder: String

        @Option(
            name: .customLong("manifest-key-file"),
            help: ArgumentHelp("Private key that signs MANIFEST.", valueName: "file")
        )
        var manifestKeyFile: String

        @Option(
            name: .customLong("manifest-name"),
            help: ArgumentHelp("Name of that key in MANIFEST, such as your domain.", valueName: "name")
        )
        var manifestName = "manifest"

        @Option(
            name: .customLong("ledger-key-file"),
            help: ArgumentHelp("The ledger's private key, for forks among the attacks.", valueName: "file")
        )
        var ledgerKeyFile: String?

        @Option(
            name: .customLong("witness-key-file"),
            help: ArgumentHelp("A witness' private key, for forks with a quorum; repeatable.", valueName: "file")
        )
        var witnessKeyFiles: [String] = []

        @Flag(name: .customLong("no-attacks"), help: "Leave tampered envelopes and attack files out.")
        var hasNoAttacks = false

        @OptionGroup var common: CommonOptions

        func validate() throws {
            guard (1...128).contains(manifestName.utf8.count),
                manifestName.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "+") })
            else {
                throw ValidationError("--manifest-name has 1 to 128 visible ASCII characters and no plus sign")
            }
        }

        func run() async throws {
            let audit = try options.audit()
            let manifest = try KeyFile.read(manifestKeyFile)
            let verifierKey = VerifierKey(
                name: manifestName,
                type: VerifierKey.noteType,
                key: manifest.publicKey
            )
            let maker = PackMaker(
                audit: audit,
                manifestKey: (manifest, verifierKey),
                ledgerKey: try ledgerKeyFile.map { try KeyFile.read($0) },
                witnessKeys: try witnessKeyFiles.map { try KeyFile.read($0) },
                hasAttacks: !hasNoAttacks
            )
            guard (try? Posix.status(folder)) == nil else {
                throw CommandFailure(
                    .refused,
                    code: "file.exists",
                    "\(folder) exists already and is never overwritten; choose another name or move it away"
                )
            }
            let log = try AuditedLog(options.log, common)
            defer { log.close() }
            let progress = AuditProgress()
            let report = try await maker.make(from: log.source, into: folder, progress: progress.show)
            progress.finish()
            common.output.result(
                .object([
                    ("folder", .string(folder)), ("ledger_id", .string(audit.ledgerID.hex)),
                    ("manifest_key", .string("\(verifierKey)")), ("size", .integer(Int64(report.size))),
                    ("cases", .integer(Int64(report.each?.count ?? 0))),
                ]),
                text: """
                    \(folder): \(report.size) entries, \(report.each?.count ?? 0) attacks, replayed with equal digests
                    gw-node audit replay \(folder) --ledger-id \(audit.ledgerID) --manifest-key \(verifierKey) --each
                    """
            )
            Posix.exitNow(report.verdict.rawValue)
        }
    }
}
