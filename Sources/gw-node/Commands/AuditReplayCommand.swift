import ArgumentParser
import Contracts
import Ledger

extension AuditCommand {
    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "replay",
            abstract: "Verify every leaf, signature and rule of a log, its checkpoint, and what a pack recorded.",
            discussion: """
                Exit codes: 0 all equal, 1 tampered or different, 2 usage, 3 a fold upgrade is reached.

                Example:
                  gw-node audit replay fixtures/packs/public --ledger-id HEX --manifest-key VKEY --each
                  gw-node audit replay https://ledger.example.org --ledger-id HEX --state audit.state
                """
        )

        @OptionGroup var options: Options

        @Option(
            name: .customLong("manifest-key"),
            help: ArgumentHelp("The key that must have signed the pack's MANIFEST.", valueName: "vkey")
        )
        var manifestKey: String?

        @Flag(name: .customLong("each"), help: "Judge the pack's tampered envelopes and attack files too.")
        var isEach = false

        @Option(
            name: .customLong("state"),
            help: ArgumentHelp("Keep here what was verified, and go on from there next time.", valueName: "file")
        )
        var stateFile: String?

        @OptionGroup var common: CommonOptions

        func run() async throws {
            var audit = try options.audit()
            audit.each = isEach
            if let manifestKey {
                guard let key = VerifierKey(manifestKey, type: VerifierKey.noteType) else {
                    throw CommandFailure(
                        .usage,
                        "--manifest-key \(manifestKey) is no verifier key; it has the form NAME+HASH+BASE64"
                    )
                }
                audit.manifestKey = key
            }
            let log = try AuditedLog(options.log, common)
            defer { log.close() }
            guard log.pack != nil || (!isEach && manifestKey == nil) else {
                throw CommandFailure(
                    .usage,
                    "--each and --manifest-key are for fixture packs, and \(options.log) is none; leave them away"
                )
            }
            guard log.pack == nil || stateFile == nil else {
                throw CommandFailure(
                    .usage,
                    "--state is for ledgers that grow, and \(options.log) is a fixture pack; leave it away"
                )
            }
            if log.pack != nil, manifestKey == nil {
                common.output.note("the signature of MANIFEST is not checked; give --manifest-key VKEY to check it")
            }
            let store = try stateFile.map { try AuditStore(path: $0, ledgerID: audit.ledgerID) }
            let progress = AuditProgress()
            let report = try await AuditReplay.run(
                log.source,
                pack: log.pack,
                options: audit,
                store: store,
                progress: progress.show
            )
            progress.finish()
            common.output.result(.encoded(report.json.canonical), text: report.text)
            if let failure = report.failures.first {
                common.output.note(
                    "gw-node: \(options.log): \(failure.message) (\(failure.code)); do not trust this log"
                )
            } else if report.verdict == .unsupported {
                common.output.note(
                    "gw-node: \(options.log): entry \(report.size) is for a later version of the rules; "
                        + "everything before it is verified, use a newer gw-node for the rest"
                )
            }
            Posix.exitNow(report.verdict.rawValue)
        }
    }
}

extension AuditReport {
    /// What people read.
    var text: String {
        var lines = [
            "size          \(size)",
            "root          \(root)",
            "outcome root  \(outcomeRoot)",
            "state root    \(stateRoot)",
            "ledger time   \(CalendarTime.text(time))",
        ]
        if let quorumTime { lines.append("quorum time   \(CalendarTime.text(quorumTime))") }
        lines.append("codes")
        let sorted = codes.sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }
        for (code, count) in sorted {
            lines.append("  \(String(repeating: " ", count: max(0, 9 - "\(count)".count)))\(count)  \(code.rawValue)")
        }
        if let each {
            lines.append("each: name, expected, got")
            for verdict in each {
                let mark = verdict.agrees ? " " : "!"
                lines.append("\(mark) \(verdict.name)  \(verdict.expected)  \(verdict.got)")
            }
        }
        for failure in failures { lines.append("different: \(failure)") }
        lines.append(verdict == .different ? "result        different" : "result        \(verdict)")
        return lines.joined(separator: "\n")
    }
}

extension AuditStoreError: CommandFailureConvertible {
    var commandFailure: CommandFailure { CommandFailure(.configuration, code: "audit.state", description) }
}
