import ArgumentParser
import Contracts
import Ledger

/// `why`: what the ledger says about a host, a port or a key, and which signed entries say it.
struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Say why a host, a port or an agent's key is served or refused: contract, rule, and who signed it.",
        discussion: """
            With --config the answer comes from what that gateway has verified, running or not, halted or not, and adds
            what the running gateway says. Else the whole log is verified first; --ledger names a URL, the directory of a
            ledger, or a fixture pack. Every sentence of the answer names the entry that it rests on.

            Exit codes: 0 served, 1 refused (or the log does not hold).

            Example:
              gw-node why shop.gw.example.org --ledger https://ledger.example.org --ledger-id HEX
              gw-node why shop.gw.example.org --config gateway.yaml
              gw-node why tcp:6379 --config gateway.yaml --height 1200
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

    @Option(help: ArgumentHelp("The gateway on this machine whose verified state answers.", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp("One gateway; standard: that of --config, else all that are concerned.", valueName: "id")
    )
    var node: String?

    @Option(help: ArgumentHelp("The state after so many entries; standard: all.", valueName: "entries"))
    var height: UInt64?

    @Option(
        help: ArgumentHelp(
            "Seconds since 1970; standard: the ledger's time at that height, with --config at its newest height the local time.",
            valueName: "time"
        )
    )
    var at: Int64?

    @Option(help: ArgumentHelp("A visitor's address, for the allow and deny lists.", valueName: "address"))
    var from: String?

    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let at, !(0...Timestamp.latest).contains(at) {
            throw ValidationError("--at is a time in seconds since 1970, 0 to \(Timestamp.latest)")
        }
        let isOfLedger =
            !ledger.ledgers.isEmpty || ledger.ledgerID != nil || ledger.state != nil || ledger.profile != nil
        guard config == nil || !isOfLedger else {
            throw ValidationError(
                "--config names the gateway's own ledger and state; leave the flags of the ledger away"
            )
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
        let progress = AuditProgress()
        if let config {
            let gateway = try WhyGateway(GatewayFile(config))
            let (report, conditions) = try await gateway.answer(question, common, progress.show)
            progress.finish()
            finish(report, conditions)
        }
        let report = try await answer(question, progress)
        progress.finish()
        finish(report, nil)
    }

    /// The answer from the verified log that the flags or the profile name.
    private func answer(_ question: WhyQuestion, _ progress: AuditProgress) async throws -> WhyReport {
        let profile = try Profile.load(ledger.profile)
        guard let place = ledger.ledgers.first ?? profile?.ledgers.first else {
            throw CommandFailure(
                .usage,
                "no ledger is named; give --config of a gateway or --ledger PACK|DIR|URL, or write a profile once with "
                    + "`gw-node setup`"
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
        return try await question.answer(
            from: log.source,
            options: AuditOptions(
                ledgerID: try IdentifierArgument.read(pin, "ledger"),
                dev: ledger.isDevelopment || (profile?.ledgerID == pin && profile?.isDevelopment == true),
                localNow: Posix.now()
            ),
            progress: progress.show
        )
    }

    private func finish(_ report: WhyReport, _ gateway: WhyGateway.Conditions?) -> Never {
        if let reason = report.unread {
            common.output.note("the entries are not named, no source gave them: \(reason)")
        }
        var json = report.json.asObject ?? [:]
        json["gateway"] = gateway?.json
        let text = gateway.map { report.text + "\n" + $0.text } ?? report.text
        common.output.result(.encoded(JSONValue.object(json).canonical), text: text)
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
