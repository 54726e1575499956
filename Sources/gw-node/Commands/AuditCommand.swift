import ArgumentParser
import Contracts
import Foundation
import Ledger

/// `audit`: re-verify a ledger without believing it.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Re-verify a ledger or a fixture pack from its first entry.",
        discussion: """
            Example:
              gw-node audit replay https://ledger.example.org --ledger-id HEX
              gw-node audit routes /var/lib/ledger --ledger-id HEX --node ID --height 1200
              gw-node audit diff https://ledger.example.org https://mirror.example.net --ledger-id HEX
            """,
        subcommands: [Replay.self, Routes.self, Diff.self, Evidence.self, Pack.self, Attest.self]
    )

    /// What commands about one log read.
    struct Options: ParsableArguments {
        @Argument(
            help: ArgumentHelp(
                "A fixture pack, the directory of a ledger, or a ledger's URL.",
                valueName: "pack|dir|url"
            )
        )
        var log: String

        @OptionGroup var pin: Pin

        func audit() throws(CommandFailure) -> AuditOptions { try pin.audit() }
    }

    /// Which ledger the auditor means.
    struct Pin: ParsableArguments {
        @Option(
            name: .customLong("ledger-id"),
            help: ArgumentHelp("The pinned ledger id; never taken from the log itself.", valueName: "hex")
        )
        var ledgerID: String

        @Flag(name: .customLong("dev"), help: "Accept a trial ledger, whose checkpoints no witness cosigns.")
        var isDevelopment = false

        func audit() throws(CommandFailure) -> AuditOptions {
            AuditOptions(
                ledgerID: try IdentifierArgument.read(ledgerID, "ledger"),
                dev: isDevelopment,
                localNow: Posix.now()
            )
        }
    }
}

/// The log that an audit command names.
struct AuditedLog {
    let source: any LogSource

    /// The log as a pack, when its folder is one.
    let pack: FixturePack?

    private let client: LedgerClient?

    init(_ log: String, _ common: CommonOptions) throws {
        if LedgerSettings.isURL(log) {
            let client = try LedgerClient(urls: [log], logger: common.logger("audit"))
            (source, pack, self.client) = (ServedLog(client), nil, client)
            return
        }
        guard let status = try? Posix.status(log), status.isDirectory else {
            throw CommandFailure(
                .usage,
                "\(log) is no folder that can be read; give a fixture pack, the directory of a ledger, or a URL"
            )
        }
        client = nil
        if StoredLog.isLedger(log) {
            (source, pack) = (try StoredLog(directory: log), nil)
        } else {
            let folder = LogFolder(path: log)
            (source, pack) = (folder, folder.isPack ? folder.pack : nil)
        }
    }

    func close() {
        client?.shutdown()
    }
}

extension LogUnreadable: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        CommandFailure(.refused, code: "log.unreadable", "\(description); do not trust this log")
    }
}

/// Counts entries on stderr when somebody watches.
struct AuditProgress {
    private let isWatched = Posix.isTerminal(2)

    func show(_ size: UInt64) {
        if isWatched { Posix.writeAll(2, Array("\r\(size) entries".utf8)) }
    }

    func finish() {
        if isWatched { Posix.writeAll(2, Array("\r\u{1B}[K".utf8)) }
    }
}
