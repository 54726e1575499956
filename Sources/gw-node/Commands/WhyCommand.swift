import ArgumentParser
import Contracts
import Ledger

/// `why`: what the ledger says about a host, a port or a key, and which signed entries say it.
struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Say why a host, a port or an agent's key is served or refused: contract, rule, and who signed it.",
        discussion: """
            The whole log is verified first; --ledger names a URL, the directory of a ledger, or a fixture pack. Every
            sentence of the answer names the entry that it rests on.

            Exit codes: 0 served, 1 refused (or the log does not hold).

            Example:
              gw-node why shop.gw.example.org --ledger https://ledger.example.org --ledger-id HEX
              gw-node why tcp:6379 --node ID --height 1200
              gw-node why shop.gw.example.org --from 192.0.2.7 --json
            """
    )

    @Argument(
        help: ArgumentHelp(
            "A host, a leased port, or the key id of an agent.",
            valueName: "host|tcp:port|udp:port|keyid"
        )
    )
    var subject: String

    @Option(help: ArgumentHelp("One gateway; standard: all that are concerned.", valueName: "id"))
    var node: String?

    @Option(help: ArgumentHelp("The state after so many entries; standard: all.", valueName: "entries"))
    var height: UInt64?

    @Option(help: ArgumentHelp("Seconds since 1970; standard: the ledger's time at that height.", valueName: "time"))
    var at: Int64?

    @Option(help: ArgumentHelp("A visitor's address, for the allow and deny lists.", valueName: "address"))
    var from: String?

    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let at, !(0...Timestamp.latest).contains(at) {
            throw ValidationError("--at is a time in seconds since 1970, 0 to \(Timestamp.latest)")
        }
    }

    func run() async throws {
        guard let subject = WhySubject(subject) else {
            throw CommandFailure(
                .usage,
                "\"\(subject)\" is no host, no tcp:PORT or udp:PORT, and no key id of 64 hex digits in lower case"
            )
        }
        var question = WhyQuestion(subject, height: height, at: at)
        question.node = try node.map { try IdentifierArgument.read($0, "node") }
        if let from {
            guard let address = IPAddress(from) else {
                throw CommandFailure(.usage, "--from \(from) is no IPv4 or IPv6 address")
            }
            question.visitor = address
        }
        let profile = try Profile.load(ledger.profile)
        guard let place = ledger.ledgers.first ?? profile?.ledgers.first else {
            throw CommandFailure(
                .usage,
                "no ledger is named; give --ledger PACK|DIR|URL, or write a profile once with `gw-node setup`"
            )
        }
        guard let pin = ledger.ledgerID ?? profile?.ledgerID else {
            throw CommandFailure(
                .usage,
                "no ledger id is pinned; give --ledger-id HEX, the id that the ledger's operator published"
            )
        }
        let log = try AuditedLog(place, common)
        defer { log.close() }
        let progress = AuditProgress()
        let report = try await question.answer(
            from: log.source,
            options: AuditOptions(
                ledgerID: try IdentifierArgument.read(pin, "ledger"),
                dev: ledger.isDevelopment || (profile?.ledgerID == pin && profile?.isDevelopment == true),
                localNow: Posix.now()
            ),
            progress: progress.show
        )
        progress.finish()
        common.output.result(.encoded(report.json.canonical), text: report.text)
        Posix.exitNow((report.decisive.isServed ? ExitStatus.done : .refused).rawValue)
    }
}

extension WhyReport {
    /// What people read: the verdict, then one line for each sentence, for each gateway.
    var text: String {
        var lines = ["\(subject) after \(height) entries, at \(CalendarTime.text(time))"]
        for answer in answers {
            let place = answer.node.map { " at node \($0)" } ?? ""
            lines.append("\(answer.isServed ? "served" : "refused")\(place): \(answer.reason) (rule \(answer.rule))")
            lines += answer.message.split(separator: ";").map { "  - \($0.drop { $0 == " " })" }
        }
        return lines.joined(separator: "\n")
    }
}
