internal import Contracts
internal import Foundation
internal import Logging

/// Steps 7 to 10: from proven entries to a larger trusted tree.
extension LedgerFollower {
    /// Entries whose outcomes and hashes are written ahead of their step at a time.
    private static let pageSize = 4096
    /// Trusted sizes of the past whose roots are kept in memory.
    private static let rememberedSizes = 64
    /// A renewed quorum time is stored when it is this many seconds later than the stored one.
    private static let renewalStep: Timestamp = 30

    func advance(
        to checkpoint: Checkpoint,
        _ quorumTime: Timestamp,
        _ rules: Rules,
        _ source: LedgerClient.Source
    ) async throws {
        let pinned = try startSize(before: checkpoint, rules, source)
        let sizes = Set(claims.keys).union(pinned.map { [$0.size] } ?? [])
        let (entries, origin) = try await provenEntries(checkpoint, rules, source, rootsAt: sizes)
        if let pinned { try await check(pinned, in: entries, checkpoint, origin) }
        try await compareClaims(with: entries, checkpoint, rules, origin)
        var fold = EntryFold(state: state, keyset: position.keyset, quorumTime: quorumTime)
        var attested = AttestedSizes(in: entries, after: position.edge)
        var page = TrustStore.Page(start: position.size)
        let sources = client.dataSources(after: origin)
        do {
            // One page is written while the next one is folded.
            try await withThrowingTaskGroup(of: Void.self) { writing in
                try await BundlePipeline.run(
                    entries.bundles,
                    window: configuration.bundlesInFlight + ProcessInfo.processInfo.activeProcessorCount,
                    keys: { fold.state.keyRing },
                    load: { try await self.leaves(of: $0, sources) },
                    prepare: engine.prepare,
                    take: { bundle in
                        try Task.checkCancellation()
                        if page.leaves.count >= Self.pageSize {
                            try await writing.next()
                            writing.addTask { [store, page, position] in try await store.prepare(page, beyond: position)
                            }
                            page = TrustStore.Page(start: page.start + UInt64(page.leaves.count))
                        }
                        page.leaves += bundle.proven.hashes
                        page.outcomes += try await self.fold(bundle, into: &fold, &attested)
                    }
                )
                try await writing.waitForAll()
            }
        } catch let refusal as LedgerRefusal where refusal.kind == .unreachable {
            try Task.checkCancellation()
            throw try await withheld(checkpoint, source, refusal)
        }
        try confirm(rules, by: fold, origin)
        var quorumTime = quorumTime
        if let policy = fold.state.policy, policy.text != rules.policy.text {
            let changed = Rules(origin: rules.origin, keys: rules.keys, policy: policy, ahead: rules.ahead)
            quorumTime = min(quorumTime, try await judge(checkpoint, changed, source).quorumTime)
        }
        let hashing = await fold.state.hashOnAllCores()
        var next = position
        next.origin = checkpoint.origin
        next.keyset = fold.keyset
        next.root = checkpoint.root
        next.checkpoint = checkpoint.bytes
        next.edge = entries.edge
        next.outcomes = fold.state.outcomes
        next.stateRoot = fold.state.stateRoot()
        next.lastTick = fold.state.now
        next.quorumTime = max(quorumTime, position.quorumTime)
        next.halt = nil
        let changes = fold.state.takeChangedRows(hashedBy: hashing)
        var keys = keys
        for set in [fold.state.ledgerKeys] + fold.keySets { keys.add(set) }
        let end = PassedSize(
            size: checkpoint.size,
            root: checkpoint.root,
            outcomeRoot: fold.state.outcomeRoot,
            stateRoot: next.stateRoot
        )
        // From here on the step is durable; only then is it shown to anybody.
        try await store.advance(
            from: position,
            to: next,
            changes,
            page,
            keys: keys.keys,
            passed: attested.passed + [end],
            begunWith: nil
        )
        recent[position.size] = position.root
        if recent.count > Self.rememberedSizes, let oldest = recent.keys.min() { recent[oldest] = nil }
        position = next
        state = fold.state
        self.keys = keys
        storedQuorumTime = next.quorumTime
        noteQuorumTime()
        genesis = nil
        etags = [:]
        claims = claims.filter { $0.key > next.size }
        try await set(alarm: .withholding, nil)
        try await compareAttestations(fold.attestations)
    }

    /// Folds a bundle, with a look at the state at each attested size.
    private func fold(
        _ bundle: PreparedBundle,
        into fold: inout EntryFold,
        _ attested: inout AttestedSizes
    ) async throws -> [Outcome] {
        let leaves = bundle.proven.leaves
        var outcomes: [Outcome] = []
        var done = 0
        while done < leaves.count {
            let end = attested.next.map { done + Int($0 - fold.state.size) } ?? leaves.count
            let part = done..<min(end, leaves.count)
            outcomes += engine.fold(&fold, leaves[part], bundle.entries[part])
            done = part.upperBound
            if let stop = fold.stop {
                try await self.stop(stop, fold.stopMessage)
                throw LedgerRefusal(TrustedPosition.Halt(result: stop, message: fold.stopMessage))
            }
            attested.note(leaves[part], &fold.state)
        }
        return outcomes
    }

    /// The bytes of a proven bundle: kept, or fetched and compared with the hashes that were proven. What one source
    /// does not have, or has wrong, another one may give.
    private nonisolated func leaves(
        of bundle: FetchedEntries.Bundle,
        _ sources: [LedgerClient.Source]
    ) async throws -> HashedLeaves {
        if let leaves = bundle.leaves { return HashedLeaves(leaves) }
        let found = try await race.first(of: sources) { source, _ in try await self.leaves(of: bundle, from: source) }
        switch found {
        case .value(let leaves, _): return leaves
        case .nothing(let failures):
            let refusal = failures.last { $0.refusal.kind == .refused } ?? failures.first
            throw refusal?.refusal
                ?? LedgerRefusal(.unreachable, code: "withholding", source: "", message: "no source has the entries")
        }
    }

    private nonisolated func leaves(
        of bundle: FetchedEntries.Bundle,
        from source: LedgerClient.Source
    ) async throws -> HashedLeaves {
        let what = "its bundle \(bundle.index) does not hold the leaves that its hash tiles prove"
        var mismatch = LedgerRefusal(.entriesMismatch, source: source, what)
        for isBypassingCaches in [false, true] {
            do {
                let leaves = HashedLeaves(try await client.leaves(bundle, from: source, isBypassingCaches))
                if FetchedEntries.digest(leaves.hashes) == bundle.digest { return leaves }
            } catch let refusal as LedgerRefusal where refusal.kind == .refused {
                mismatch = refusal
            }
        }
        throw mismatch
    }

    /// A later quorum time for the trusted tree. Durable when it lies well ahead of the stored one.
    func renew(checkpoint: [UInt8], quorumTime: Timestamp) async throws {
        var next = position
        next.checkpoint = checkpoint
        next.quorumTime = quorumTime
        next.halt = nil
        if next.halt != position.halt || quorumTime >= storedQuorumTime + Self.renewalStep {
            try await store.renew(from: position, to: next)
            storedQuorumTime = quorumTime
        }
        position = next
        noteQuorumTime()
    }

    func noteQuorumTime() {
        quorumClock = QuorumClock(
            quorumTime: position.quorumTime,
            now: configuration.now(),
            monotonic: configuration.monotonic(),
            after: quorumClock
        )
    }

    /// Makes a halt durable. The state stays as it is.
    func stop(_ result: VerificationResult, _ message: String) async throws {
        var next = position
        next.halt = TrustedPosition.Halt(result: result, message: message)
        try await store.renew(from: position, to: next)
        storedQuorumTime = next.quorumTime
        position = next
        logger.debug("halted", metadata: ["code": "\(result.rawValue)", "reason": "\(message)"])
    }
}
