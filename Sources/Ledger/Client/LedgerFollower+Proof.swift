internal import Contracts

extension LedgerFollower {
    // MARK: Larger trees (steps 6 and 7)

    /// The entries up to the checkpoint, whose hashes give its root, and the source that gave them.
    ///
    /// Data that do not hash to the root are fetched once more past all caches, then from the next source. Data that
    /// hash to the root but to another prefix than the trusted one prove a fork.
    func provenEntries(
        _ checkpoint: Checkpoint,
        _ source: LedgerClient.Source
    ) async throws -> (FetchedEntries, LedgerClient.Source) {
        var mismatch: LedgerRefusal?
        var missing: LedgerRefusal?
        for candidate in [source] + client.sources.filter({ $0 != source }) {
            for isBypassingCaches in [false, true] {
                do {
                    let entries = try await client.entries(
                        after: position.edge,
                        to: checkpoint.size,
                        from: candidate,
                        budget: configuration.entryBudget,
                        inFlight: configuration.bundlesInFlight,
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
            if mismatch != nil, let evidence = try? await forkEvidence(with: checkpoint, from: candidate) {
                throw try await halt(evidence)
            }
        }
        if let mismatch { throw mismatch }
        throw LedgerRefusal(
            .unreachable,
            code: "withholding",
            source: source.url,
            message: "the entries behind the valid checkpoint of size \(checkpoint.size) are withheld: "
                + (missing?.message ?? "no source has them")
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
        let found = try await readingTiles(size: second, from: source) { read in
            (
                root: try Proofs.root(of: 0..<second, read: read),
                prefix: try Proofs.root(of: 0..<first, read: read),
                proof: try Proofs.consistency(from: first, to: second, read: read)
            )
        }
        guard found.root == checkpoint.root, found.prefix != position.root else { return nil }
        return ForkEvidence(a: trusted, b: checkpoint, prefixRoot: found.prefix, proof: found.proof)
    }

    /// Runs a computation over the tiles of a source, fetching each tile that it misses, and starting over.
    private func readingTiles<Value>(
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
                tiles[missing.path] = try await client.tile(
                    level: level,
                    index: missing.path.index,
                    width: missing.path.width,
                    from: source,
                    isBypassingCaches: true
                )
            }
        }
    }

    // MARK: Equal and smaller trees (step 5)

    /// Compares a valid checkpoint that is not larger with the trusted tree.
    ///
    /// - Throws: a fork, which halts; or `checkpoint.stale` for an older prefix.
    func compare(_ checkpoint: Checkpoint, _ source: LedgerClient.Source) async throws {
        if checkpoint.size == position.size {
            guard checkpoint.root != position.root else { return }
            let trusted = try Checkpoint(parsing: position.checkpoint)
            throw try await halt(ForkEvidence(a: trusted, b: checkpoint, prefixRoot: checkpoint.root, proof: []))
        }
        let stale = LedgerRefusal(
            .checkpointStale,
            source: source,
            "its checkpoint of size \(checkpoint.size) is older than the trusted size \(position.size)"
        )
        if recent[checkpoint.size] == checkpoint.root { throw stale }
        let tree = try await TrustedTree(leaves: store.leafHashes(size: position.size))
        guard tree.root(size: position.size) == position.root else {
            throw TrustStoreError(.corrupt, "the trust store's leaf hashes do not give its trusted root")
        }
        let root = tree.root(size: checkpoint.size)
        guard root != checkpoint.root else {
            recent[checkpoint.size] = root
            throw stale
        }
        guard checkpoint.size > 0 else {
            throw LedgerRefusal(.checkpointFork, source: source, "its empty checkpoint has the root of no empty tree")
        }
        let trusted = try Checkpoint(parsing: position.checkpoint)
        let proof = tree.consistency(from: checkpoint.size, to: position.size)
        throw try await halt(ForkEvidence(a: checkpoint, b: trusted, prefixRoot: root, proof: proof))
    }

    /// Stores the evidence of a fork, then the halt, and returns the refusal to throw.
    private func halt(_ evidence: ForkEvidence) async throws -> LedgerRefusal {
        let name = "fork-\(evidence.digest.hex.prefix(16)).json"
        // Evidence first: a halt without it would ask an operator to believe.
        let path = try store.directory.write(evidence.bytes, named: name)
        let message =
            "the ledger signed two histories: sizes \(evidence.a.size) and \(evidence.b.size) do not agree; "
            + "evidence is in \(path)"
        try await stop(.checkpointFork, message)
        return LedgerRefusal(TrustedPosition.Halt(result: .checkpointFork, message: message))
    }
}

/// The trusted tree from its leaf hashes, for the rare questions about a size in the past.
private struct TrustedTree {
    private let levels: [[Digest]]

    init(leaves: [Digest]) {
        var levels = [leaves]
        while let last = levels.last, last.count > 1 {
            levels.append(
                stride(from: 0, to: last.count - 1, by: 2).map { MerkleTree.nodeHash(last[$0], last[$0 + 1]) }
            )
        }
        self.levels = levels
    }

    func root(size: UInt64) -> Digest {
        Proofs.root(of: 0..<size) { levels[$0][Int($1)] }
    }

    func consistency(from first: UInt64, to second: UInt64) -> [Digest] {
        Proofs.consistency(from: first, to: second) { levels[$0][Int($1)] }
    }
}
