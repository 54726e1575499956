import Contracts
import Ledger

/// Two histories of one ledger that part at some size: the material of a simulation. Made once, used by many seeds.
struct ForkedLog: Sendable {
    /// One history: its leaves and every tree that it passed.
    struct Branch: Sendable {
        let leaves: [[UInt8]]
        let hashes: [Digest]
        let roots: [Digest]
        /// Tiles and bundles by their paths. The histories are shorter than a tile.
        private let resources: [String: [UInt8]]

        init(_ leaves: [[UInt8]]) {
            self.leaves = leaves
            hashes = leaves.map { MerkleTree.leafHash($0) }
            var range = CompactRange()
            var roots = [MerkleTree.emptyRoot]
            for hash in hashes {
                range.append(hash)
                roots.append(range.root)
            }
            self.roots = roots
            var resources: [String: [UInt8]] = [:]
            for width in 1...leaves.count {
                let bundle = TilePath(.entries, index: 0, width: width)
                resources["/\(bundle)"] = EntryBundle.encode(leaves[..<width])
                let tile = TilePath(.hashes(level: 0), index: 0, width: width)
                resources["/\(tile)"] = HashTile(Array(hashes[..<width])).bytes
            }
            self.resources = resources
        }

        var size: Int { leaves.count }

        func consistency(from first: Int, to second: Int) -> [Digest] {
            Proofs.consistency(from: UInt64(first), to: UInt64(second)) { level, index in
                let width = 1 << level
                let start = Int(index) * width
                guard level > 0 else { return hashes[start] }
                var range = CompactRange()
                for hash in hashes[start..<(start + width)] { range.append(hash) }
                return range.root
            }
        }

        /// A tile or bundle by its path; nil for anything else.
        func resource(_ path: String) -> [UInt8]? { resources[path] }
    }

    let origin: String
    let ledgerID: Identifier
    let ledgerKey: SigningKey
    let ledgerVKey: VerifierKey
    let witnessKeys: [SigningKey]
    let witnessVKeys: [VerifierKey]
    /// Largest size that both histories share.
    let fork: Int
    let branches: [Branch]

    /// - Parameters:
    ///   - fork: entries that both share, genesis among them; at least 1.
    ///   - size: entries of each history.
    init(number: UInt8, fork: Int, size: Int) {
        var shared = TestLog(seed: number, origin: "log.example/simulated", witnesses: 4, quorum: 3)
        shared.grow(to: fork, from: 10)
        var (one, other) = (shared, shared)
        one.grow(to: size, from: 40)
        other.grow(to: size, from: 80)
        self.fork = fork
        origin = shared.origin
        ledgerID = shared.ledgerID
        ledgerKey = shared.ledgerKey
        ledgerVKey = shared.ledgerVKey
        witnessKeys = shared.witnessKeys
        witnessVKeys = shared.witnessVKeys
        branches = [Branch(one.leaves), Branch(other.leaves)]
    }

    /// The branches that a tree belongs to.
    func branches(of root: Digest, size: Int) -> Set<Int> {
        Set(branches.indices.filter { branches[$0].roots.indices.contains(size) && branches[$0].roots[size] == root })
    }
}
