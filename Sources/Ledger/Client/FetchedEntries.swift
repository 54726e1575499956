internal import Contracts

/// The entries [start, end) as one source gave them: hashed, and not believed before the root they give is compared.
///
/// Bytes are kept up to a budget; of a bundle above it only a digest stays, 32 bytes for 256 entries, and the bundle is
/// fetched again when it is folded and compared with that. So memory is bounded whatever the length of the log.
struct FetchedEntries: Sendable {
    /// One entry bundle, as far as it belongs to [start, end).
    struct Bundle: Sendable {
        /// Index of the bundle; its first entry is 256 times that.
        let index: UInt64
        /// Entries of the bundle that belong to this tree.
        let width: Int
        /// Entries at its beginning that lie before `start`.
        let skip: Int
        /// SHA-256 over the leaf hashes after `skip`, once they were read.
        var digest = Digest.zero
        /// The leaves after `skip`; nil when the budget was used up.
        var leaves: [[UInt8]]?

        init(index: UInt64, width: Int, skip: Int) {
            self.index = index
            self.width = width
            self.skip = skip
        }

        /// The bundle that has entry `start` or, of those that follow it, the one `number` further.
        init(_ number: UInt64, from start: UInt64, to end: UInt64) {
            let full = UInt64(TilePath.fullWidth)
            index = start / full + number
            let begin = index * full
            width = Int(min(full, end - begin))
            skip = Int(max(start, begin) - begin)
        }
    }

    private(set) var bundles: [Bundle] = []
    /// Right edge after all of them.
    private(set) var edge: CompactRange
    /// Roots at the sizes that were asked for, as far as they were passed.
    private(set) var roots: [UInt64: Digest] = [:]
    private var kept = 0
    private let budget: Int
    private let rootSizes: Set<UInt64>

    init(after edge: CompactRange, budget: Int, rootsAt sizes: Set<UInt64> = []) {
        self.edge = edge
        self.budget = budget
        rootSizes = sizes
    }

    /// How many bundles hold [start, end).
    static func count(from start: UInt64, to end: UInt64) -> UInt64 {
        let full = UInt64(TilePath.fullWidth)
        return start < end ? (end - 1) / full - start / full + 1 : 0
    }

    /// From more bundles than this, 16,384 entries, the hash tiles prove the log first and each bundle is fetched once.
    static let mostKept: UInt64 = 64

    /// Takes the next bundle; without leaves, only its hashes are known yet.
    mutating func append(_ bundle: Bundle, leaves: [[UInt8]]?, hashes: [Digest]) {
        for hash in hashes {
            edge.append(hash)
            if rootSizes.contains(edge.size) { roots[edge.size] = edge.root }
        }
        var bundle = bundle
        bundle.digest = Self.digest(hashes)
        if let leaves {
            let bytes = leaves.reduce(0) { $0 + $1.count }
            if kept + bytes <= budget {
                kept += bytes
                bundle.leaves = leaves
            }
        }
        bundles.append(bundle)
    }

    static func digest(_ hashes: [Digest]) -> Digest {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32 * hashes.count)
        for hash in hashes { hash.append(to: &bytes) }
        return .sha256(bytes)
    }
}

extension LogTransport {
    /// Fetches and hashes the entries between `edge` and `end` from one source, several bundles at a time.
    ///
    /// - Throws: `LedgerRefusal`: a client error, or `entries.mismatch` for bytes that are no bundle.
    func entries(
        after edge: CompactRange,
        to end: UInt64,
        from source: LedgerClient.Source,
        budget: Int,
        inFlight: Int,
        rootsAt sizes: Set<UInt64> = [],
        isBypassingCaches: Bool,
        onBundle: @Sendable () -> Void = {}
    ) async throws -> FetchedEntries {
        let start = edge.size
        let count = FetchedEntries.count(from: start, to: end)
        let window = UInt64(max(1, inFlight))
        let isLong = count > FetchedEntries.mostKept
        return try await withThrowingTaskGroup(of: (UInt64, [[UInt8]]?, [Digest]).self) { group in
            var result = FetchedEntries(after: edge, budget: budget, rootsAt: sizes)
            var arrived: [UInt64: (leaves: [[UInt8]]?, hashes: [Digest])] = [:]
            var (started, taken) = (UInt64(0), UInt64(0))
            while taken < count {
                while started < count, started < taken + window {
                    let number = started
                    let bundle = FetchedEntries.Bundle(number, from: start, to: end)
                    group.addTask {
                        if isLong {
                            return (number, nil, try await self.leafHashes(bundle, from: source, isBypassingCaches))
                        }
                        let leaves = try await self.leaves(bundle, from: source, isBypassingCaches)
                        return (number, leaves, leaves.map { MerkleTree.leafHash($0) })
                    }
                    started += 1
                }
                guard let (number, leaves, hashes) = try await group.next() else { break }
                onBundle()
                arrived[number] = (leaves, hashes)
                while let next = arrived.removeValue(forKey: taken) {
                    let bundle = FetchedEntries.Bundle(taken, from: start, to: end)
                    result.append(bundle, leaves: next.leaves, hashes: next.hashes)
                    taken += 1
                }
            }
            return result
        }
    }

    /// The leaves of one bundle that belong to the plan.
    ///
    /// A partial bundle may be gone once a wider one exists; then the full one serves.
    func leaves(
        _ bundle: FetchedEntries.Bundle,
        from source: LedgerClient.Source,
        _ isBypassingCaches: Bool
    ) async throws -> [[UInt8]] {
        var bytes: [UInt8]
        do throws(LedgerClientError) {
            bytes = try await self.bundle(
                index: bundle.index,
                width: bundle.width,
                from: source,
                isBypassingCaches: isBypassingCaches
            )
        } catch {
            guard error.code == .notFound, bundle.width < TilePath.fullWidth else { throw LedgerRefusal(error) }
            do throws(LedgerClientError) {
                bytes = try await self.bundle(
                    index: bundle.index,
                    width: TilePath.fullWidth,
                    from: source,
                    isBypassingCaches: isBypassingCaches
                )
            } catch {
                throw LedgerRefusal(error)
            }
        }
        guard bytes.holdsNoMoreEntries(than: TilePath.fullWidth), let entries = EntryBundle.decode(bytes),
            entries.count >= bundle.width
        else {
            let what = "bundle \(bundle.index) is not \(bundle.width) entries"
            throw LedgerRefusal(.entriesMismatch, source: source, what)
        }
        return Array(entries[bundle.skip..<bundle.width])
    }
}

extension [UInt8] {
    /// Whether the bytes of a bundle are at most so many entries: empty ones cost memory when they are decoded.
    fileprivate func holdsNoMoreEntries(than limit: Int) -> Bool {
        var (position, entries) = (0, 0)
        while position + 2 <= count, entries <= limit {
            position += 2 + Int(self[position]) << 8 + Int(self[position + 1])
            entries += 1
        }
        return entries <= limit
    }
}
