internal import Contracts

extension LedgerFollower {
    // MARK: Larger trees (steps 6 and 7)

    /// The entries up to the checkpoint, whose hashes give its root, and the source that gave them.
    ///
    /// Data that do not hash to the root are fetched once more past all caches, then from the next source. Data that
    /// hash to the root but to another prefix than the trusted one prove a fork.
    func provenEntries(
        _ checkpoint: Checkpoint,
        _ rules: Rules,
        _ source: LedgerClient.Source,
        rootsAt sizes: Set<UInt64>
    ) async throws -> (FetchedEntries, LedgerClient.Source) {
        var mismatch: LedgerRefusal?
        var missing: LedgerRefusal?
        for candidate in client.dataSources(after: source) {
            for isBypassingCaches in [false, true] {
                do {
                    let entries = try await client.entries(
                        after: position.edge,
                        to: checkpoint.size,
                        from: candidate,
                        budget: configuration.entryBudget,
                        inFlight: configuration.bundlesInFlight,
                        rootsAt: sizes,
                        isBypassingCaches: isBypassingCaches
                    )
                    if entries.edge.root == checkpoint.root { return (entries, candidate) }
                    let range = "\(position.size) to \(checkpoint.size)"
                    let what = "its entries \(range) do not give the root of the checkpoint of size \(checkpoint.size)"
                    mismatch = LedgerRefusal(.entriesMismatch, source: candidate, what)
                } catch let refusal as LedgerRefusal where refusal.kind == .refused {
                    mismatch = refusal
                } catch let refusal as LedgerRefusal where refusal.kind == .unreachable {
                    try Task.checkCancellation()
                    missing = refusal
                    break
                }
            }
            // What keys ahead of the log signed is provisional: it halts nobody.
            if mismatch != nil, rules.ahead.isEmpty,
                let evidence = try? await forkEvidence(with: checkpoint, from: candidate)
            {
                throw try await halt(evidence, shownBy: candidate)
            }
        }
        if let mismatch { throw mismatch }
        let what = "the entries behind the valid checkpoint of size \(checkpoint.size) are withheld"
        try await set(alarm: .withholding, what + "; the last verified state stays in force, look for a mirror")
        throw LedgerRefusal(
            .unreachable,
            code: LedgerAlarm.Code.withholding.rawValue,
            source: source.url,
            message: "\(what): " + (missing?.message ?? "no source has them")
        )
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
