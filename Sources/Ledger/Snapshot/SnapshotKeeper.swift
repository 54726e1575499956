internal import Contracts
internal import Logging

/// The snapshots of one served ledger: when one is taken, and the auditors' notes on it.
///
/// A snapshot is taken of the committed head when the policy in force has an auditor quorum and there is none yet, or
/// the newest is `snapshotEvery` entries behind. It is served once a quorum of the auditors in force attested it; its
/// manifest then never changes.
actor SnapshotKeeper {
    /// What became of a note.
    enum Verdict: Sendable {
        /// It counts; so many distinct auditors attest that size now, of so many that are needed.
        case taken(notes: Int, quorum: Int, isAttested: Bool)
        case refused(status: Int, code: String, reason: String)
    }

    nonisolated let folder: SnapshotFolder
    private let store: LedgerStore
    private let sequencer: Sequencer
    private let board: CheckpointBoard
    private let limits: ServiceLimits
    private let logger: Logger

    init(
        folder: SnapshotFolder,
        store: LedgerStore,
        sequencer: Sequencer,
        board: CheckpointBoard,
        limits: ServiceLimits,
        logger: Logger
    ) {
        self.folder = folder
        self.store = store
        self.sequencer = sequencer
        self.board = board
        self.limits = limits
        self.logger = logger
    }

    /// Takes snapshots whenever one is due, until the server ends.
    func run() async throws {
        var seen: UInt64 = 0
        while !Task.isCancelled, !board.isClosed {
            guard let checkpoint = await board.checkpoint(after: seen, wait: .seconds(50)) else { continue }
            seen = checkpoint.size
            guard isDue(at: checkpoint.size), let origin = sequencer.state.meta?.origin else { continue }
            do {
                let note = try await SnapshotProducer.run(store, origin: origin, into: folder)
                folder.prune(keeping: limits.snapshotsKept)
                logger.info(
                    "a snapshot waits for its auditors",
                    metadata: ["size": "\(note.size)", "state_root": "\(note.stateRoot)"]
                )
            } catch let error where !(error is CancellationError) {
                // The log does not depend on it; the next checkpoint tries again.
                logger.error("a snapshot could not be made", metadata: ["reason": "\(error)"])
            }
        }
    }

    private func isDue(at size: UInt64) -> Bool {
        guard limits.snapshotEvery > 0, sequencer.state.auditorQuorum > 0 else { return false }
        guard let newest = folder.sizes.first else { return true }
        return size >= newest + limits.snapshotEvery
    }

    /// Takes a state note of an auditor, when it says what this server computed itself.
    func take(_ bytes: [UInt8], size: UInt64) throws -> Verdict {
        let note: SignedStateNote
        do {
            note = try SignedStateNote(parsing: bytes)
        } catch {
            return .refused(status: 400, code: error.rawValue, reason: "the body is no signed state note")
        }
        guard let own = folder.state(size) else {
            return .refused(status: 404, code: "not.found", reason: "there is no snapshot of size \(size)")
        }
        let state = sequencer.state
        let quorum = Int(state.auditorQuorum)
        let signers: [Auditor]
        do {
            signers = try note.attesters(among: state.auditors)
        } catch {
            return .refused(status: 403, code: "signature.invalid", reason: "a signature of the note does not verify")
        }
        guard !signers.isEmpty else {
            return .refused(status: 403, code: "auditor.forbidden", reason: "no auditor of this ledger signed the note")
        }
        guard note.state == own else {
            logger.critical(
                "an auditor's state differs from this server's",
                metadata: ["size": "\(size)", "auditors": "\(signers.map(\.twin.hex))"]
            )
            return .refused(
                status: 422,
                code: "state.divergence",
                reason: "the note has other digests than this server"
            )
        }
        let before = folder.notes(size)
        if folder.isAttested(size) {
            let count = try before?.attesters(among: state.auditors).count ?? 0
            return .taken(notes: count, quorum: quorum, isAttested: true)
        }
        let merged = note.merged(with: before, keeping: state.auditors)
        let count = try merged.attesters(among: state.auditors).count
        let isAttested = quorum > 0 && count >= quorum
        try folder.write(merged.bytes, isAttested ? "manifest" : "notes", of: size)
        // At this point the note is on the disk; a manifest is seen by everybody and stays as it is.
        if isAttested { folder.prune(keeping: limits.snapshotsKept) }
        return .taken(notes: count, quorum: quorum, isAttested: isAttested)
    }
}
