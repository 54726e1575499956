import ArgumentParser
import Contracts
import Ledger

/// `ledger fsck`: re-verify everything that a ledger's directory holds.
struct LedgerFsckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fsck",
        abstract: "Re-verify the whole store of a ledger: entries, hashes, outcomes, state, checkpoints, sign guards.",
        discussion: """
            Reads only; the server may run or not. Names the first thing that is wrong: table, row and rule. Run it as the
            user that serves the ledger. Exit codes: 0 everything holds, 1 something does not, 78 no ledger there.

            Example:
              gw-node ledger fsck /var/lib/ledger --ledger-id HEX
            """
    )

    @Argument(help: ArgumentHelp("Directory that `ledger init` made.", valueName: "dir"))
    var directory: String
    @Option(
        name: .customLong("ledger-id"),
        help: ArgumentHelp("The published ledger id; without it, whose ledger it is stays unchecked.", valueName: "hex")
    )
    var ledgerID: String?
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let pin = try ledgerID.map { text in try IdentifierArgument.read(text, "ledger") }
        let progress = FsckProgress()
        var report = try await StoreCheck.run(directory: directory, progress: progress.show)
        progress.finish()
        if report.fault == nil, let pin, report.ledgerID != pin {
            report.fault = StoreFault(foreignTo: pin)
        }
        common.output.result(report.document, text: report.text)
        guard let fault = report.fault else { return }
        common.output.note(
            "gw-node: \(directory): \(fault); do not serve this copy, and keep it for whoever finds out why"
        )
        Posix.exitNow(ExitStatus.refused.rawValue)
    }
}

extension StoreCheckReport {
    fileprivate var document: JSONText {
        var members: [(String, JSONText)] = [
            ("ledger_id", ledgerID.map { .string($0.hex) } ?? .null), ("size", .integer(Int64(size))),
            ("root", .string(root.hex)), ("outcome_root", .string(outcomeRoot.hex)),
            ("state_root", stateRoot.map { .string($0.hex) } ?? .null), ("checkpoints", .integer(Int64(checkpoints))),
            ("signed_size", guardedSize.map { .integer(Int64($0)) } ?? .null),
        ]
        if let fault {
            let row: JSONText = fault.row.map { .string($0) } ?? .null
            members.append(
                (
                    "fault",
                    .object([
                        ("table", .string(fault.table)), ("row", row), ("rule", .string(fault.rule)),
                        ("message", .string(fault.message)),
                    ])
                )
            )
        }
        return .object(members)
    }

    fileprivate var text: String {
        """
        ledger id     \(ledgerID?.hex ?? "-")
        entries       \(size)
        root          \(root)
        outcome root  \(outcomeRoot)
        state root    \(stateRoot.map { "\($0)" } ?? "-")
        checkpoints   \(checkpoints)
        signed up to  \(guardedSize.map { "\($0)" } ?? "-")
        result        \(fault.map { "\($0)" } ?? "everything holds")
        """
    }
}

/// Counts entries on stderr: in place for a person, a line every 100,000 for a log file.
private struct FsckProgress {
    private static let step: UInt64 = 100_000
    private let isWatched = Posix.isTerminal(2)

    func show(_ done: UInt64, _ total: UInt64) {
        if isWatched {
            Posix.writeAll(2, Array("\r\(done) of \(total) entries".utf8))
        } else if done / Self.step > (done - min(done, UInt64(StoreCheck.pageEntries))) / Self.step {
            Output.writeError("\(done) of \(total) entries")
        }
    }

    func finish() {
        if isWatched { Posix.writeAll(2, Array("\r\u{1B}[K".utf8)) }
    }
}
