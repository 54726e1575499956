internal import Contracts

/// Leaves that are proven, with their hashes.
struct HashedLeaves: Sendable {
    let leaves: [[UInt8]]
    let hashes: [Digest]

    init(_ leaves: [[UInt8]]) {
        self.leaves = leaves
        hashes = leaves.map { MerkleTree.leafHash($0) }
    }
}

/// A bundle whose leaves are proven and parsed and whose signatures are verified: ready for the fold.
struct PreparedBundle: Sendable {
    let proven: HashedLeaves
    let entries: [(ParsedEntry, SignatureVerdicts)]
}

/// Prepares bundles on all cores while the caller folds those before them, in order.
enum BundlePipeline {
    /// Loads, parses and verifies the bundles, at most `window` at the same time, those that wait for their turn
    /// included; so memory is bounded by that many bundles.
    ///
    /// - Parameters:
    ///   - keys: the keys that the fold knows so far.
    ///   - load: gives the proven leaves of a bundle; several run at the same time.
    ///   - prepare: parses leaves and verifies their signatures.
    ///   - take: gets the bundles in their order.
    static func run(
        _ bundles: [FetchedEntries.Bundle],
        window: Int,
        keys: () -> KeyRing,
        load: @escaping @Sendable (FetchedEntries.Bundle) async throws -> HashedLeaves,
        prepare: @escaping EntryEngine.Prepare,
        take: (PreparedBundle) async throws -> Void
    ) async throws {
        let announced = AnnouncedKeys()
        try await withThrowingTaskGroup(of: (Int, Result<PreparedBundle, any Error>).self) { group in
            var arrived: [Int: Result<PreparedBundle, any Error>] = [:]
            var (started, taken) = (0, 0)
            defer { group.cancelAll() }
            while taken < bundles.count {
                while started < min(taken + max(1, window), bundles.count) {
                    let (number, bundle, known) = (started, bundles[started], keys())
                    group.addTask {
                        do {
                            let proven = try await load(bundle)
                            let entries = prepare(proven.leaves, number, known, announced)
                            return (number, .success(PreparedBundle(proven: proven, entries: entries)))
                        } catch {
                            return (number, .failure(error))
                        }
                    }
                    started += 1
                }
                guard let (number, bundle) = try await group.next() else { return }
                arrived[number] = bundle
                // A bundle that fails does so in its turn, after all entries before it were folded.
                while let bundle = arrived.removeValue(forKey: taken) {
                    try await take(try bundle.get())
                    // Tasks that are under way hold the keys of a state up to a window older.
                    announced.remove(page: taken - window)
                    taken += 1
                }
            }
        }
    }
}
