import Contracts

/// The tree of a log as it is written into a pack, and entries that tampered envelopes are made of.
struct PackTiles: Sendable {
    let size: UInt64

    /// All hashes by level: 0 are the leaves, 1 the roots of full tiles, and so on.
    private(set) var levels: [[Digest]] = [[]]

    /// The first entry of each type, of some types.
    private(set) var samples: [UInt64: [UInt8]] = [:]

    /// The leaves, as long as they fit into a file of attacks.
    private(set) var leaves: [[UInt8]] = []

    private var seen: Set<EntryType> = []

    /// Most entries that tampered ones are made of.
    private static let mostSamples = 12

    /// Most leaves that are kept for attacks on all of them.
    static let mostLeaves: UInt64 = 1024

    init(size: UInt64) {
        self.size = size
    }

    /// Copies bundles, which are proven once more, and writes the tiles over them.
    mutating func copy(_ verified: VerifiedLeaves, from source: any LogSource, to writer: PackWriter) async throws {
        for index in 0..<verified.bundleCount {
            let path = verified.path(bundle: index)
            guard let bundle = try await source.leaves(path), let hashes = verified.verify(bundle, bundle: index) else {
                throw AuditFailure(.entriesMismatch, "\(path) does not hold the leaves of the checkpoint")
            }
            try writer.write(path.description, EntryBundle.encode(bundle))
            for (leaf, hash) in zip(bundle, hashes) {
                take(leaf)
                levels[0].append(hash)
            }
        }
        var level = 0
        while !levels[level].isEmpty {
            var parents: [Digest] = []
            for path in TilePath.all(.hashes(level: level), size: UInt64(levels[level].count) << UInt64(8 * level)) {
                let first = Int(path.index) * TilePath.fullWidth
                let tile = HashTile(Array(levels[level][first..<first + path.width]))
                try writer.write(path.description, tile.bytes)
                if path.width == TilePath.fullWidth { parents.append(tile.root) }
            }
            levels.append(parents)
            level += 1
        }
    }

    private mutating func take(_ leaf: [UInt8]) {
        if size <= Self.mostLeaves { leaves.append(leaf) }
        guard seen.count < Self.mostSamples, case .entry(let entry) = ParsedEntry(leaf: leaf),
            seen.insert(entry.type).inserted
        else { return }
        samples[UInt64(levels[0].count)] = leaf
    }

    /// The root of the first `count` leaves, where the leaf at `replaced`, if any, has another hash.
    func root(at count: UInt64, replacing replaced: UInt64? = nil) -> Digest {
        edge(at: count, replacing: replaced).root
    }

    /// The consistency proof between two sizes in the tree whose leaf at `replaced` has another hash.
    func consistency(from first: UInt64, to second: UInt64, replacing replaced: UInt64? = nil) -> [Digest] {
        Proofs.consistency(from: first, to: second) { level, index in
            var range = CompactRange()
            for leaf in index << UInt64(level)..<(index + 1) << UInt64(level) {
                range.append(hash(leaf, replacing: replaced))
            }
            return range.root
        }
    }

    private func edge(at count: UInt64, replacing replaced: UInt64?) -> CompactRange {
        var range = CompactRange()
        for leaf in 0..<count { range.append(hash(leaf, replacing: replaced)) }
        return range
    }

    /// Behind the end of the log and at the replaced leaf stand hashes of nothing that was logged.
    private func hash(_ leaf: UInt64, replacing replaced: UInt64?) -> Digest {
        guard leaf < size, leaf != replaced else { return .sha256(Array("fork \(leaf)".utf8)) }
        return levels[0][Int(leaf)]
    }
}
