import ArgumentParser
import Contracts
import Ledger
import Logging
import UnixSignals

/// `ledger mirror`: a verified copy of a ledger as plain files.
struct LedgerMirrorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror",
        abstract: "Keep a verified copy of a ledger as plain files that any static web server can serve.",
        discussion: """
            Everything is verified from the first entry before it is written; the checkpoint is written last. The
            command follows the ledger until it is stopped, and goes on where it was; --once ends after one update, for
            cron. What was verified is kept in --state, standard: DIR.state.

            Example:
              gw-node ledger mirror --ledger https://ledger.example.org --ledger-id HEX /var/www/ledger
            """
    )

    @Argument(help: ArgumentHelp("Folder of the files; made when it is missing.", valueName: "dir"))
    var directory: String
    @Flag(help: "End after one update.")
    var once = false
    @OptionGroup var ledger: LedgerOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        guard !ledger.startsFromSnapshot else {
            throw CommandFailure(.usage, "a mirror holds the whole history, so it never starts from a --snapshot")
        }
        var reference = try LedgerReference(ledger, profile: try Profile.load(ledger.profile))
        if ledger.state == nil { reference.stateFolder = "\(directory).state" }
        let logger = common.logger("mirror", standard: .info)
        let watcher = try reference.watcher(logger: logger, isPatient: !once)
        defer { watcher.shutdown() }
        let mirror = try LedgerMirror(watcher: watcher, folder: directory, logger: logger)
        guard !once else {
            let state = try await watcher.catchUp()
            let entries = try await mirror.update()?.entries ?? 0
            show(LedgerMirror.Update(size: state.size, root: state.root, entries: entries))
            return
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await mirror.run(onUpdate: show) }
            group.addTask { for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { return } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func show(_ update: LedgerMirror.Update) {
        common.output.event(
            .object([
                ("event", .string("mirrored")), ("size", .integer(Int64(update.size))),
                ("root", .string(update.root.hex)), ("entries", .integer(Int64(update.entries))),
            ]),
            text: "mirrored \(update.size) entries, \(update.entries) new, root \(update.root)"
        )
    }
}

extension MirrorError: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch self {
        case .foreignFolder: CommandFailure(.usage, code: "mirror.folder", "\(self)")
        case .otherHistory: CommandFailure(.refused, code: "mirror.history", "\(self)")
        case .ahead: CommandFailure(.refused, code: "mirror.ahead", "\(self)")
        }
    }
}
