import Contracts

/// Leaves of one bundle that were proven to be the log's, parsed, with the verdicts on their signatures.
struct VerifiedBundle: Sendable {
    let entries: [(parsed: ParsedEntry, leafHash: Digest, verdicts: SignatureVerdicts)]

    /// Fetches, proves and parses one bundle. Runs beside others: of the state it takes only keys, as a hint.
    ///
    /// A key that neither the state nor a bundle under way brings is looked up when the entry is folded.
    static func load(
        _ index: Int,
        of leaves: VerifiedLeaves,
        from source: any LogSource,
        keys: KeyRing,
        _ announced: AnnouncedKeys
    ) async throws -> VerifiedBundle {
        let path = leaves.path(bundle: index)
        guard let bundle = try await source.leaves(path) else {
            throw AuditFailure(
                .entriesMismatch,
                "\(path) is missing or does not hold \(path.width) entries",
                index: path.index * UInt64(TilePath.fullWidth)
            )
        }
        guard let hashes = leaves.verify(bundle, bundle: index) else {
            throw AuditFailure(
                .entriesMismatch,
                "\(path) does not hold the leaves of the checkpoint",
                index: try await firstDifference(bundle, path, source)
            )
        }
        let parsed = bundle.map { ParsedEntry(leaf: $0) }
        announced.add(parsed, page: index)
        return VerifiedBundle(
            entries: zip(parsed, hashes).map { entry, hash in
                (entry, hash, SignatureVerdicts.compute(for: entry) { keys[$0] ?? announced[$0] })
            }
        )
    }

    /// The tile was proven before: the first leaf that has another hash is the one that was changed.
    private static func firstDifference(
        _ bundle: [[UInt8]],
        _ path: TilePath,
        _ source: any LogSource
    ) async throws -> UInt64 {
        let first = path.index * UInt64(TilePath.fullWidth)
        let tile = try await source.hashTile(level: 0, index: path.index, width: path.width)
        let pairs = zip(bundle, tile?.hashes ?? [])
        guard let offset = pairs.enumerated().first(where: { MerkleTree.leafHash($1.0) != $1.1 })?.offset else {
            return first
        }
        return first + UInt64(offset)
    }
}
