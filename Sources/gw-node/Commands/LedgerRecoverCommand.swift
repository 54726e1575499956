import ArgumentParser
import Contracts
import Ledger

/// `ledger recover`: fill an older copy of a ledger's database up to what was signed.
struct LedgerRecoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Fetch the entries that an older copy of a ledger's database lacks, and verify them.",
        discussion: """
            For a ledger that serves but logs nothing, because somebody has seen a larger tree than its database holds, and
            for one that is stopped. Nothing is taken over that does not lead to a tree this ledger has signed. A server
            that waits goes on by itself afterwards. Exit codes: 0 nothing is missing any more, 1 the database is no
            beginning of what was signed, 75 the entries were not found, or the server may sign.

            Example:
              gw-node ledger recover /var/lib/ledger --from https://mirror.example.net --from /srv/copy
            """
    )

    @Argument(help: ArgumentHelp("Directory that `ledger init` made.", valueName: "dir"))
    var directory: String
    @Option(
        name: .customLong("from"),
        help: ArgumentHelp(
            "A copy of this log: URL of a mirror, a folder with its files, or another ledger's directory; repeatable.",
            valueName: "url|dir"
        )
    )
    var sources: [String]
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let logger = common.logger("ledger")
        var clients: [LedgerClient] = []
        defer { for client in clients { client.shutdown() } }
        var copies: [LedgerRecovery.Copy] = []
        for source in sources {
            if LedgerSettings.isURL(source) {
                let client = try LedgerClient(urls: [source], logger: logger)
                clients.append(client)
                copies.append(LedgerRecovery.Copy(name: source, log: ServedLog(client)))
            } else if StoredLog.isLedger(source) {
                copies.append(LedgerRecovery.Copy(name: source, log: try StoredLog(directory: source)))
            } else {
                guard let status = try? Posix.status(source), status.isDirectory else {
                    throw CommandFailure(.usage, "--from \(source) is no URL and no folder that can be read")
                }
                copies.append(LedgerRecovery.Copy(name: source, log: LogFolder(path: source)))
            }
        }
        let isWatched = Posix.isTerminal(2)
        let result = try await LedgerRecovery.run(directory: directory, copies: copies) { done, total in
            if isWatched { Posix.writeAll(2, Array("\r\(done) of \(total) entries".utf8)) }
        }
        if isWatched { Posix.writeAll(2, Array("\r\u{1B}[K".utf8)) }
        common.output.result(
            .object([
                ("from", .integer(Int64(result.from))), ("to", .integer(Int64(result.to))),
                ("root", .string(result.root.hex)), ("seen_at", result.seenAt.map { .string($0) } ?? .null),
            ]),
            text: """
                entries before  \(result.from)
                entries now     \(result.to)
                root            \(result.root)
                seen at         \(result.seenAt ?? "nowhere")
                """
        )
    }
}

extension RecoveryError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch self {
        case .notFound: CommandFailure(.tryAgain, code: "recovery.not_found", "\(self)")
        case .otherWay: CommandFailure(.refused, code: "recovery.other_way", "\(self)")
        case .unsigned: CommandFailure(.refused, code: "recovery.unsigned", "\(self)")
        case .unsupported: CommandFailure(.unsupported, "\(self)")
        }
    }
}
