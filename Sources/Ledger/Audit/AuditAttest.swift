public import Contracts

/// The state note that an auditor can sign for the first entries of a log, found by replaying it.
public struct AuditAttest: Sendable {
    /// The digests after `size` entries.
    public let note: StateNote
    /// The state after all entries of the log, for who is an auditor now.
    public let state: ContractState

    /// Why there is no note.
    public enum Refusal: Error, Sendable {
        /// The log is not what its checkpoint says.
        case failed(AuditFailure)
        /// The log has only so many entries.
        case beyondEnd(UInt64)
        /// A fold upgrade comes before that size, after so many entries.
        case unsupported(UInt64)
    }

    /// Verifies the whole log as `AuditReplay` does, and takes the digests after `size` entries, 1 or more.
    public static func run(
        _ source: any LogSource,
        size: UInt64,
        options: AuditOptions,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> AuditAttest {
        do {
            let leaves = try await LogAudit.leaves(from: source)
            guard size <= leaves.checkpoint.size else { throw Refusal.beyondEnd(leaves.checkpoint.size) }
            var replay = LogReplay()
            var note: StateNote?
            try await LogAudit.fold(
                leaves,
                from: source,
                ledgerID: options.ledgerID,
                into: &replay,
                observe: { replay, _ in
                    guard replay.state.size == size, let origin = replay.state.meta?.origin else { return }
                    note = StateNote(
                        origin: origin,
                        size: size,
                        root: replay.tree.root,
                        outcomeRoot: replay.state.outcomeRoot,
                        stateRoot: replay.stateRoot()
                    )
                },
                progress: progress
            )
            _ = try replay.judge(leaves.checkpoint, dev: options.dev, localNow: options.localNow).get()
            guard let note else { throw Refusal.unsupported(replay.state.size) }
            return AuditAttest(note: note, state: replay.state)
        } catch let failure as AuditFailure {
            throw Refusal.failed(failure)
        } catch let error as LogUnreadable {
            throw Refusal.failed(error.failure)
        }
    }
}
