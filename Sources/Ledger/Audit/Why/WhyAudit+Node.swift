public import Contracts

extension WhyQuestion {
    /// Answers from what a node has verified, at any height up to that.
    ///
    /// The newest height is answered from the node's state; entries come from `sources`, each bundle compared with the
    /// leaf hashes that the node proved. When no source gives them, that answer stands without entries, and says so. An
    /// older height, or the history before a snapshot, is folded from the first entry and compared with the node's outcomes.
    /// - Parameter localNow: the time of a question about the newest height, as the node itself takes it (12.1).
    /// - Throws: `AuditRoutes.Refusal`; for an older height `LedgerClientError` when no source answers.
    public func answer(
        from record: TrustRecord,
        reading sources: [any LogSource],
        localNow: Timestamp,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> WhyReport {
        let size = record.position.size
        let height = height ?? size
        guard height <= size, let leaves = record.leaves else { throw AuditRoutes.Refusal.beyondEnd(size) }
        let log = ProvenBundles(leaves: leaves, sources: sources)
        do {
            var (state, codes) = (record.state, record.codes.compactMap(\.self))
            if height < size || codes.count < record.codes.count {
                let folded = try await log.fold(to: height, comparing: record.codes, progress)
                codes = folded.codes
                if height < size { state = folded.state }
            }
            var history = WhyHistory(subject, state: state)
            try await Self.read(codes, into: &history) { try await log.bundle($0) }
            return report(state, history, height, height == size ? localNow : state.now)
        } catch  where height == size && Self.isAbout(theLog: error) {
            var report = report(record.state, WhyHistory(unread: subject, record.state), height, localNow)
            report.unread = "\(error)"
            return report
        } catch let failure as AuditFailure {
            throw AuditRoutes.Refusal.failed(failure)
        }
    }

    /// Whether an error says that the entries are not to be had, and nothing about what the node verified.
    private static func isAbout(theLog error: any Error) -> Bool {
        if let error = error as? LedgerClientError { return error.code != .cancelled }
        return (error as? AuditFailure)?.code == VerificationResult.entriesMismatch.rawValue
    }
}

/// Bundles whose leaves were proven before, from whichever source has them.
private struct ProvenBundles {
    let leaves: VerifiedLeaves
    let sources: [any LogSource]

    func bundle(_ index: Int) async throws -> [[UInt8]] {
        let path = leaves.path(bundle: index)
        var failure: any Error = AuditFailure(
            .entriesMismatch,
            "no source has the entries of \(path) as this node verified them",
            index: path.index * UInt64(TilePath.fullWidth)
        )
        for source in sources {
            do {
                if let found = try await source.leaves(path), leaves.verify(found, bundle: index) != nil {
                    return found
                }
            } catch let error as LedgerClientError {
                try Task.checkCancellation()
                failure = error
            }
        }
        throw failure
    }

    /// The state after the first entries, and what came of each.
    func fold(
        to height: UInt64,
        comparing known: [Code?],
        _ progress: (UInt64) -> Void
    ) async throws -> (state: ContractState, codes: [Code]) {
        var state = ContractState()
        var codes: [Code] = []
        for index in 0..<leaves.bundleCount where state.size < height {
            let found = try await bundle(index).prefix(Int(height - state.size))
            for (entry, verdicts) in await EntryFold.prepare(Array(found), state) {
                guard case .outcome(let outcome) = state.apply(entry, verdicts: verdicts) else {
                    throw AuditRoutes.Refusal.unsupported(state.size)
                }
                guard known[codes.count] == nil || known[codes.count] == outcome.code else {
                    throw AuditFailure(
                        code: "state.divergence",
                        "entry \(outcome.index) is \(outcome.code.rawValue), the node's store says otherwise",
                        index: outcome.index
                    )
                }
                codes.append(outcome.code)
            }
            progress(state.size)
        }
        return (state, codes)
    }
}
