internal import Contracts

extension LedgerFollower {
    // MARK: Larger trees (steps 6 and 7)

    /// The entries up to the checkpoint, whose hashes give its root, and the source that gave them.
    ///
    /// Data that do not hash to the root are fetched once more past all caches, then from the next source, which is also
    /// asked when one does not get on. Data that hash to the root but to another prefix than the trusted one prove a fork.
    func provenEntries(
        _ checkpoint: Checkpoint,
        _ rules: Rules,
        _ source: LedgerClient.Source,
        rootsAt sizes: Set<UInt64>
    ) async throws -> (FetchedEntries, LedgerClient.Source) {
        let edge = position.edge
        let found = try await race.first(of: client.dataSources(after: source)) { candidate, progress in
            try await self.entries(after: edge, to: checkpoint, from: candidate, rootsAt: sizes, progress)
        }
        guard case .nothing(let failures) = found else {
            guard case .value(let entries, let origin) = found else { preconditionFailure("a race has one end") }
            return (entries, origin)
        }
        for (candidate, refusal) in failures where refusal.kind == .refused && rules.ahead.isEmpty {
            // What keys ahead of the log signed is provisional: it halts nobody. A source that drips its tiles is given up.
            let evidence = await value(within: configuration.limits.bundleDeadline, configuration.clock) {
                try await self.forkEvidence(with: checkpoint, from: candidate)
            }
            if let evidence { throw try await halt(evidence, shownBy: candidate) }
        }
        if let mismatch = failures.last(where: { $0.refusal.kind == .refused }) { throw mismatch.refusal }
        throw try await withheld(checkpoint, source, failures.last?.refusal)
    }

    /// Raises the alarm for data that are missing behind a valid checkpoint, and returns the refusal to throw (step 7).
    func withheld(
        _ checkpoint: Checkpoint,
        _ source: LedgerClient.Source,
        _ reason: LedgerRefusal?
    ) async throws -> LedgerRefusal {
        let what = "the entries behind the valid checkpoint of size \(checkpoint.size) are withheld"
        try await set(alarm: .withholding, what + "; the last verified state stays in force, look for a mirror")
        return LedgerRefusal(
            .unreachable,
            code: LedgerAlarm.Code.withholding.rawValue,
            source: source.url,
            message: "\(what): " + (reason?.message ?? "no source has them")
        )
    }

    /// How long a source may keep everybody waiting while another one could be asked.
    nonisolated var race: SourceRace { SourceRace(patience: configuration.patience, clock: configuration.clock) }

    /// What one source gives, tried once more past all caches when it does not hash to the checkpoint's root.
    private nonisolated func entries(
        after edge: CompactRange,
        to checkpoint: Checkpoint,
        from source: LedgerClient.Source,
        rootsAt sizes: Set<UInt64>,
        _ progress: SourceRace.Progress
    ) async throws -> FetchedEntries {
        let range = "\(edge.size) to \(checkpoint.size)"
        let what = "its entries \(range) do not give the root of the checkpoint of size \(checkpoint.size)"
        var mismatch: LedgerRefusal?
        for isBypassingCaches in [false, true] {
            do {
                let entries = try await client.entries(
                    after: edge,
                    to: checkpoint.size,
                    from: source,
                    budget: configuration.entryBudget,
                    inFlight: configuration.bundlesInFlight,
                    rootsAt: sizes,
                    isBypassingCaches: isBypassingCaches,
                    onBundle: { progress.step() }
                )
                if entries.edge.root == checkpoint.root { return entries }
                mismatch = LedgerRefusal(.entriesMismatch, source: source, what)
            } catch let refusal as LedgerRefusal where refusal.kind == .refused {
                mismatch = refusal
            } catch let refusal as LedgerRefusal where refusal.kind == .unreachable {
                throw mismatch ?? refusal
            }
        }
        throw mismatch ?? LedgerRefusal(.entriesMismatch, source: source, what)
    }

    /// Evidence of a fork from the hash tiles of a source: they give the root of the new checkpoint, and at the trusted
    /// size another root than the trusted one. Nil if the source is merely bad.
    private func forkEvidence(
        with checkpoint: Checkpoint,
        from source: LedgerClient.Source
    ) async throws -> ForkEvidence? {
        guard position.size > 0, let trusted = try? Checkpoint(parsing: position.checkpoint) else { return nil }
        let (first, second) = (position.size, checkpoint.size)
        let decided = resolution
        let found = try await readingTiles(size: second, from: source) { read in
            (
                decided: try decided.map { try Proofs.root(of: 0..<$0.size, read: read) },
                root: try Proofs.root(of: 0..<second, read: read),
                prefix: try Proofs.root(of: 0..<first, read: read),
                proof: try Proofs.consistency(from: first, to: second, read: read)
            )
        }
        guard found.root == checkpoint.root, found.prefix != position.root else { return nil }
        // A branch that an operator has called false already proves nothing new.
        guard found.decided == decided?.root else { return nil }
        return ForkEvidence(a: trusted, b: checkpoint, prefixRoot: found.prefix, proof: found.proof)
    }

    /// Runs a computation over the tiles of a source, fetching each tile that it misses, and starting over.
    func readingTiles<Value>(
        size: UInt64,
        from source: LedgerClient.Source,
        _ body: (Proofs.SubtreeReader) throws -> Value
    ) async throws -> Value {
        // A root and a proof of two sizes need at most the edges of both: two tiles of each level, and their neighbours.
        let mostTiles = 64
        var tiles: [TilePath: [UInt8]] = [:]
        while true {
            let reader = TileReader(size: size) { tiles[$0] }
            do {
                return try body(reader.subtree)
            } catch let missing as TileReader.Missing {
                guard tiles.count < mostTiles, tiles[missing.path] == nil,
                    case .hashes(let level) = missing.path.content
                else { throw missing }
                do throws(LedgerClientError) {
                    tiles[missing.path] = try await client.tile(
                        level: level,
                        index: missing.path.index,
                        width: missing.path.width,
                        from: source,
                        isBypassingCaches: true
                    )
                } catch {
                    throw LedgerRefusal(error)
                }
            }
        }
    }
}
