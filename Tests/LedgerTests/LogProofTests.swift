import Contracts
import Ledger
import Testing

@Suite("Proofs and tiles")
struct LogProofTests {
    private static let leaves = (0..<600).map { MerkleTree.leafHash([UInt8($0 & 255), UInt8($0 >> 8)]) }

    /// Reads subtrees straight from the leaves.
    private static func read(_ level: Int, _ index: UInt64) -> Digest {
        var nodes = Array(leaves[Int(index) << level..<(Int(index) + 1) << level])
        while nodes.count > 1 {
            nodes = stride(from: 0, to: nodes.count, by: 2).map { MerkleTree.nodeHash(nodes[$0], nodes[$0 + 1]) }
        }
        return nodes[0]
    }

    private static func root(_ size: Int) -> Digest {
        var range = CompactRange()
        for leaf in leaves[..<size] { range.append(leaf) }
        return range.root
    }

    /// The tiles of the first `size` leaves, as a server has them.
    private static func tiles(_ size: Int) -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        var nodes = Array(leaves[..<size])
        var level = 0
        while !nodes.isEmpty {
            var parents: [Digest] = []
            for path in TilePath.all(.hashes(level: level), size: UInt64(size)) {
                let start = Int(path.index) * 256
                let tile = HashTile(Array(nodes[start..<start + path.width]))
                files[path.description] = tile.bytes
                if path.width == 256 { parents.append(tile.root) }
            }
            nodes = parents
            level += 1
        }
        return files
    }

    @Test("proves every leaf of every size, and nothing else")
    func inclusion() {
        for size in 1...33 {
            let root = Self.root(size)
            for index in 0..<size {
                let proof = Proofs.inclusion(index: UInt64(index), size: UInt64(size), read: Self.read)
                func holds(_ index: Int, _ size: Int, _ leaf: Digest, _ proof: [Digest]) -> Bool {
                    Proofs.verifyInclusion(
                        index: UInt64(index),
                        size: UInt64(size),
                        leafHash: leaf,
                        proof: proof,
                        root: root
                    )
                }
                #expect(holds(index, size, Self.leaves[index], proof))
                #expect(!holds(index, size, Self.leaves[index + 1], proof))
                #expect(!holds(index, size, Self.leaves[index], proof + [.zero]))
                if !proof.isEmpty { #expect(!holds(index, size, Self.leaves[index], Array(proof.dropLast()))) }
                #expect(!holds(size, size, Self.leaves[index], proof))
            }
        }
    }

    @Test("proves that every tree is the beginning of every larger one, and nothing else")
    func consistency() {
        for second in 1...33 {
            for first in 1...second {
                let proof = Proofs.consistency(from: UInt64(first), to: UInt64(second), read: Self.read)
                func holds(_ first: Int, _ root: Digest, _ proof: [Digest]) -> Bool {
                    Proofs.verifyConsistency(
                        from: UInt64(first),
                        root: root,
                        to: UInt64(second),
                        root: Self.root(second),
                        proof: proof
                    )
                }
                #expect(holds(first, Self.root(first), proof))
                #expect(!holds(first, Self.leaves[0], proof) || first == 1)
                #expect(!holds(first, Self.root(first), proof + [.zero]))
                if !proof.isEmpty { #expect(!holds(first, Self.root(first), Array(proof.dropLast()))) }
                #expect(!holds(0, MerkleTree.emptyRoot, proof))
                #expect(!holds(second + 1, Self.root(second + 1), proof))
            }
        }
    }

    @Test("refuses proofs with extreme numbers without a trap")
    func extremes() {
        let hash = Digest.zero
        for number in [0, 1, UInt64.max, UInt64.max - 1, 1 << 63] {
            for other in [0, 1, UInt64.max, UInt64.max - 1, 1 << 63] {
                for count in [0, 1, 63, 64, 65, 200] {
                    let proof = [Digest](repeating: hash, count: count)
                    let included = Proofs.verifyInclusion(
                        index: number,
                        size: other,
                        leafHash: hash,
                        proof: proof,
                        root: .sha256([1])
                    )
                    let consistent = Proofs.verifyConsistency(
                        from: number,
                        root: hash,
                        to: other,
                        root: .sha256([1]),
                        proof: proof
                    )
                    #expect(!included && !consistent)
                }
            }
        }
    }

    @Test("reads proofs and the right edge out of tiles", arguments: [1, 255, 256, 257, 511, 512, 600])
    func tileReader(_ size: Int) throws {
        let files = Self.tiles(size)
        let reader = TileReader(size: UInt64(size)) { files[$0.description] }
        let range = try Proofs.compactRange(size: UInt64(size), read: reader.subtree)
        #expect(range.root == Self.root(size))
        for index in stride(from: 0, to: size, by: 37) {
            let proof = try Proofs.inclusion(index: UInt64(index), size: UInt64(size), read: reader.subtree)
            #expect(proof == Proofs.inclusion(index: UInt64(index), size: UInt64(size), read: Self.read))
            guard index > 0 else { continue }
            let path = try Proofs.consistency(from: UInt64(index), to: UInt64(size), read: reader.subtree)
            #expect(path == Proofs.consistency(from: UInt64(index), to: UInt64(size), read: Self.read))
        }
        let broken = TileReader(size: UInt64(size)) { _ in [1, 2, 3] }
        #expect(throws: TileReader.Missing.self) { try broken.subtree(level: 0, index: 0) }
        #expect(throws: TileReader.Missing.self) { try reader.subtree(level: 0, index: UInt64(size)) }
    }

    @Test(
        "takes no other spelling of a tile's path",
        arguments: [
            "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/6/000", "tile/00/000",
            "tile/-1/000", "tile/+1/000", "tile/0/x000/000", "tile/0/x001", "tile/0/001/000", "tile/0/x001/x000",
            "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/1/",
            "/tile/0/000", "tile/0/000/", "tile//000", "tile/entries/x1/000", "tile/Entries/000", "tile/0/x001/x2/000",
            "tile/0/999/999", "tile/0/\u{0661}00", "tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/0 0",
            "tile/0/000.p/1.p/2",
        ]
    )
    func tilePathSpelling(_ text: String) {
        #expect(TilePath(text) == nil)
    }

    @Test("writes and reads the paths of tiles")
    func tilePaths() {
        for content in [TilePath.Content.entries, .hashes(level: 0), .hashes(level: 5)] {
            for index: UInt64 in [0, 1, 999, 1000, 1_234_067, 35_184_372_088_831] {
                for width in [1, 8, 255, 256] {
                    let path = TilePath(content, index: index, width: width)
                    #expect(TilePath(path.description) == path)
                }
            }
        }
        #expect(TilePath(.entries, index: 1_234_067, width: 8).description == "tile/entries/x001/x234/067.p/8")
    }

    @Test("decodes bundles that end exactly where their last entry does")
    func bundles() {
        let leaves: [[UInt8]] = [[], [1], [UInt8](repeating: 7, count: 65535)]
        let bytes = EntryBundle.encode(leaves)
        #expect(EntryBundle.decode(bytes) == leaves)
        #expect(EntryBundle.decode(bytes, count: 3) == leaves)
        #expect(EntryBundle.decode(bytes, count: 2) == nil)
        #expect(EntryBundle.decode(bytes + [0]) == nil)
        #expect(EntryBundle.decode(Array(bytes.dropLast())) == nil)
        #expect(EntryBundle.decode([]) == [])
        #expect(EntryBundle.decode([], count: 1) == nil)
    }
}
