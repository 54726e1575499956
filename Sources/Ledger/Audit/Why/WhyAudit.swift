public import Contracts

/// A question to the verified history of a ledger.
public struct WhyQuestion: Sendable {
    public var subject: WhySubject

    /// The gateway; nil asks about all that are concerned.
    public var node: Identifier?

    /// Entries that the state follows from; nil is all of them.
    public var height: UInt64?

    /// Nil is the ledger's time at that height.
    public var time: Timestamp?

    /// Address of a visitor, for `allow` and `deny`.
    public var visitor: IPAddress?

    public init(
        _ subject: WhySubject,
        node: Identifier? = nil,
        height: UInt64? = nil,
        at time: Timestamp? = nil,
        visitor: IPAddress? = nil
    ) {
        self.subject = subject
        self.node = node
        self.height = height
        self.time = time
        self.visitor = visitor
    }

    /// Verifies the whole log as `AuditReplay` does, then reads its entries once more for those that the answer rests on.
    ///
    /// Throws `AuditRoutes.Refusal` when the log does not hold or does not reach the height.
    public func answer(
        from source: any LogSource,
        options: AuditOptions,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> WhyReport {
        do {
            let leaves = try await LogAudit.leaves(from: source)
            let height = height ?? leaves.checkpoint.size
            guard height <= leaves.checkpoint.size else { throw AuditRoutes.Refusal.beyondEnd(leaves.checkpoint.size) }
            var replay = LogReplay()
            var reached: ContractState?
            var codes: [Code] = []
            try await LogAudit.fold(
                leaves,
                from: source,
                ledgerID: options.ledgerID,
                into: &replay,
                observe: { replay, outcome in
                    if let outcome, outcome.index < height { codes.append(outcome.code) }
                    if replay.state.size == height { reached = replay.state }
                },
                progress: progress
            )
            _ = try replay.judge(leaves.checkpoint, dev: options.dev, localNow: options.localNow).get()
            guard let state = reached else { throw AuditRoutes.Refusal.unsupported(replay.state.size) }
            var history = WhyHistory(subject, state: state)
            try await Self.read(codes, into: &history) { bundle in
                let path = leaves.path(bundle: bundle)
                guard let found = try await source.leaves(path), leaves.verify(found, bundle: bundle) != nil else {
                    throw AuditFailure(.entriesMismatch, "\(path) does not hold the leaves of the checkpoint")
                }
                return found
            }
            return report(state, history, height, state.now)
        } catch let failure as AuditFailure {
            throw AuditRoutes.Refusal.failed(failure)
        } catch let error as LogUnreadable {
            throw AuditRoutes.Refusal.failed(error.failure)
        }
    }

    func report(
        _ state: ContractState,
        _ history: WhyHistory,
        _ height: UInt64,
        _ standard: Timestamp
    ) -> WhyReport {
        let time = time ?? standard
        let judge = WhyJudge(subject: subject, state: state, history: history, time: time, visitor: visitor)
        return WhyReport(subject: subject, height: height, time: time, answers: judge.answers(node: node))
    }

    /// Reads the effective entries of the bundles that were proven.
    static func read(
        _ codes: [Code],
        into history: inout WhyHistory,
        bundle: (Int) async throws -> [[UInt8]]
    ) async throws {
        var index = 0
        while index < codes.count {
            for leaf in try await bundle(index / TilePath.fullWidth).prefix(codes.count - index) {
                if codes[index] == .ok {
                    let parsed = ParsedEntry(leaf: leaf)
                    if case .entry(let entry) = parsed {
                        history.take(entry, EntrySummary(parsed, index: UInt64(index), code: .ok))
                    }
                }
                index += 1
            }
        }
    }
}
