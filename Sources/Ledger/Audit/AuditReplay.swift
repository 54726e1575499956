import Contracts

/// Re-verifies a log from its first entry: leaves, signatures, fold, checkpoint, and what a pack recorded.
public enum AuditReplay {
    /// Replays a log. Errors of the source are thrown; whatever is wrong with its data is in the report.
    ///
    /// `progress` is called with the number of entries folded so far, a few times a second on a long log. With a store, the
    /// replay of a log that is no pack begins where the last one ended, and is saved as it goes on; errors of the store are
    /// thrown.
    public static func run(
        _ source: any LogSource,
        pack: FixturePack?,
        options: AuditOptions,
        store: AuditStore? = nil,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> AuditReport {
        var report = AuditReport()
        do {
            if let pack {
                try await replay(pack, source, options, progress, into: &report)
            } else {
                try await replay(source, options, store, progress, into: &report)
            }
        } catch let failure as AuditFailure {
            report.take([failure])
        } catch let error as LogUnreadable {
            report.take([error.failure])
        }
        return report
    }

    private static func replay(
        _ source: any LogSource,
        _ options: AuditOptions,
        _ store: AuditStore?,
        _ progress: (UInt64) -> Void,
        into report: inout AuditReport
    ) async throws {
        var replay = try store?.load() ?? LogReplay()
        defer { report.take(&replay) }
        let leaves = try await leaves(of: source, beginningWith: replay)
        if let store {
            try await fold(leaves, from: source, options, into: &replay, savedBy: store, progress)
        } else {
            try await LogAudit.fold(
                leaves,
                from: source,
                ledgerID: options.ledgerID,
                into: &replay,
                observe: { _, _ in },
                progress: progress
            )
        }
        await replay.hashOnAllCores()
        judge(leaves.checkpoint, replay, options, into: &report)
    }

    private static func replay(
        _ pack: FixturePack,
        _ source: any LogSource,
        _ options: AuditOptions,
        _ progress: (UInt64) -> Void,
        into report: inout AuditReport
    ) async throws {
        try verifyManifest(pack, options)
        var verifier = try PackVerifier(pack, ledgerID: options.ledgerID, each: options.each)
        let leaves = try await LogAudit.leaves(from: source, rootSizes: verifier.rootSizes)
        var replay = LogReplay()
        defer { report.take(&replay) }
        do {
            try await LogAudit.fold(
                leaves,
                from: source,
                ledgerID: options.ledgerID,
                into: &replay,
                observe: { verifier.observe(&$0, outcome: $1) },
                progress: progress
            )
        } catch {
            report.take(verifier.failures)
            throw error
        }
        judge(leaves.checkpoint, replay, options, into: &report)
        verifier.finish(&replay, leaves: leaves, dev: options.dev)
        report.take(verifier.failures)
        if options.each { report.each = verifier.verdicts }
    }

    private static func verifyManifest(_ pack: FixturePack, _ options: AuditOptions) throws {
        guard let bytes = try pack.file("MANIFEST", limit: FixturePack.longestManifest) else {
            guard options.manifestKey == nil else { throw AuditFailure(.manifestInvalid, "the pack has no MANIFEST") }
            return
        }
        try PackManifest(parsing: bytes).verify(pack, ledgerID: options.ledgerID, key: options.manifestKey)
    }

    private static func judge(
        _ checkpoint: Checkpoint,
        _ replay: LogReplay,
        _ options: AuditOptions,
        into report: inout AuditReport
    ) {
        switch replay.judge(checkpoint, dev: options.dev, localNow: options.localNow) {
        case .success(let judged): report.quorumTime = judged.quorumTime ?? options.localNow
        case .failure(let failure): report.take([failure])
        }
    }
}
