import ArgumentParser
import Contracts
import Ledger

extension AuditCommand {
    /// `audit attest`: an auditor vouches for the state of a ledger after some entries.
    struct Attest: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "attest",
            abstract: "Replay a log, sign the digests of its state, and hand the note to the ledger.",
            discussion: """
                For twins that `ledger/policy` names as auditors. The log is verified from its first entry; then the
                state note is written to a file, recorded in the log with `state.attest`, and handed to the ledger,
                which serves a snapshot once a quorum of auditors attested it.

                Example:
                  gw-node audit attest --ledger https://ledger.example.org --ledger-id HEX \\
                    --key auditor.key --note-key attest.key
                """
        )

        @Argument(
            help: ArgumentHelp(
                "Where to read the log from: the directory of a ledger or of a mirror, or a URL; standard: the ledger.",
                valueName: "dir|url"
            )
        )
        var log: String?

        @OptionGroup var ledger: LedgerOptions
        @OptionGroup var signing: SigningOptions

        @Option(
            name: .customLong("note-key"),
            help: ArgumentHelp("Private key file of the auditor's verifier key.", valueName: "file")
        )
        var noteKey: String

        @Option(
            help: ArgumentHelp("Entries to attest; standard: the newest snapshot of the ledger.", valueName: "entries")
        )
        var size: UInt64?

        @Option(help: ArgumentHelp("File for the note; standard: state-SIZE.note.", valueName: "file"))
        var output: String?

        @OptionGroup var common: CommonOptions

        func validate() throws {
            if size == 0 { throw ValidationError("--size counts entries, 1 or more") }
        }

        func run() async throws {
            let noteKey = try KeyFile.read(noteKey)
            try await LedgerSession.run(ledger, signing, common) { session in
                let size = try await attestedSize(session)
                let found = try await replay(session, size)
                let actor = try session.actor(in: found.state)
                let auditor = try auditor(actor, noteKey, found.state)
                let note = found.note.signed(by: noteKey, as: auditor.key)
                let file = output ?? "state-\(size).note"
                try Files.replace(file, note, mode: 0o644, as: "the state note")
                let submission = try await record(found, session, actor)
                try await hand(note, file, found.note, submission, session)
            }
        }

        // MARK: What is attested

        private func attestedSize(_ session: LedgerSession) async throws -> UInt64 {
            if let size { return size }
            guard let newest = try await session.watcher.client.snapshotSizes().first else {
                throw CommandFailure(
                    .tryAgain,
                    code: "not.found",
                    "the ledger has no snapshot to attest; it takes the first one when its policy names auditors "
                        + "with a quorum, or give --size ENTRIES"
                )
            }
            return newest.size
        }

        private func replay(_ session: LedgerSession, _ size: UInt64) async throws -> AuditAttest {
            let options = AuditOptions(
                ledgerID: session.reference.id,
                dev: session.reference.isDevelopment,
                localNow: Posix.now()
            )
            let log = log ?? session.reference.urls[0]
            let client = LedgerSettings.isURL(log) ? try LedgerClient(urls: [log]) : nil
            defer { client?.shutdown() }
            let source: any LogSource =
                if let client {
                    ServedLog(client)
                } else if StoredLog.isLedger(log) {
                    try StoredLog(directory: log)
                } else {
                    LogFolder(path: log)
                }
            let progress = AuditProgress()
            defer { progress.finish() }
            return try await AuditAttest.run(source, size: size, options: options, progress: progress.show)
        }

        /// The line of `auditors` that twin and note key make together.
        private func auditor(
            _ actor: LedgerSession.Actor,
            _ noteKey: SigningKey,
            _ state: ContractState
        ) throws(CommandFailure) -> Auditor {
            guard let auditor = state.auditors.first(where: { $0.twin == actor.twin }) else {
                throw CommandFailure(
                    .refused,
                    code: Code.auditorForbidden.rawValue,
                    "the twin \(actor.twin.hex) is no auditor of this ledger; its operator names auditors with policy.set"
                )
            }
            guard auditor.key.key == noteKey.publicKey else {
                throw CommandFailure(
                    .refused,
                    code: Code.auditorForbidden.rawValue,
                    "the key \(self.noteKey) is not the one that the ledger knows for this auditor, \(auditor.key)"
                )
            }
            return auditor
        }

        // MARK: Recording and handing in

        /// Logs the attestation; nil when the log has the same one already.
        private func record(
            _ found: AuditAttest,
            _ session: LedgerSession,
            _ actor: LedgerSession.Actor
        ) async throws -> Submission? {
            if let last = found.state.attestation(of: actor.twin), last.size >= Int64(found.note.size) {
                guard last == found.note.attestation else {
                    throw CommandFailure(
                        .refused,
                        code: Code.attestSize.rawValue,
                        "this auditor attested \(last.size) entries before, and only larger sizes may follow; "
                            + "give a larger --size"
                    )
                }
                return nil
            }
            return try await session.submit { _, _ in .stateAttest(found.note.attestation) }
        }

        private func hand(
            _ note: [UInt8],
            _ file: String,
            _ state: StateNote,
            _ submission: Submission?,
            _ session: LedgerSession
        ) async throws {
            var members: [(String, JSONText)] = [
                ("size", .integer(Int64(state.size))), ("root", .string(state.root.hex)),
                ("outcome_root", .string(state.outcomeRoot.hex)), ("state_root", .string(state.stateRoot.hex)),
                ("note", .string(file)),
            ]
            if let submission {
                members += [
                    ("id", .string(submission.id.hex)), ("index", .integer(Int64(submission.index))),
                    ("code", .string(submission.code.rawValue)),
                    ("receipt", .string(String(decoding: submission.receipt, as: UTF8.self))),
                ]
            }
            let handed: String
            switch try await session.watcher.client.submit(stateNote: note, size: state.size) {
            case .taken(let notes, let quorum, let isAttested):
                members += [
                    ("notes", .integer(notes)), ("quorum", .integer(quorum)), ("attested", .boolean(isAttested)),
                ]
                handed =
                    isAttested
                    ? "the snapshot is attested and served" : "the snapshot waits for \(quorum - notes) more auditors"
            case .refused("not.found", _):
                // The attestation is in the log; only the ledger has no snapshot of that size.
                members += [("attested", .boolean(false))]
                handed = "the ledger has no snapshot of that size; the note is in \(file)"
            case .refused(let code, let message):
                throw CommandFailure(
                    .refused,
                    code: code,
                    "the ledger refused the note of size \(state.size): \(message) (\(code)); the note is in \(file)"
                )
            }
            common.output.result(
                .object(members),
                text: """
                    size          \(state.size)
                    root          \(state.root)
                    outcome root  \(state.outcomeRoot)
                    state root    \(state.stateRoot)
                    note          \(file)
                    attestation   \(submission?.text ?? "in the log already")
                    snapshot      \(handed)
                    """
            )
        }
    }
}

extension AuditAttest.Refusal: CommandFailureConvertible {
    var commandFailure: CommandFailure {
        switch self {
        case .failed(let failure):
            CommandFailure(.refused, code: failure.code, "\(failure.message); do not attest this log")
        case .beyondEnd(let size):
            CommandFailure(.usage, "the log has \(size) entries; give --size 1 to \(size)")
        case .unsupported(let size):
            CommandFailure(
                .unsupported,
                "entry \(size) is for a later version of the rules; give --size 1 to \(size), or use a newer gw-node"
            )
        }
    }
}
