import Contracts
import TestSupport
import Testing

@testable import Contracts

@Suite("State tree")
struct StateTreeTests {
    /// The definition of section 7, computed from nothing.
    private static func slowRoot(_ rows: [(key: String, value: [UInt8])]) -> Digest {
        var buckets: [[(key: [UInt8], value: [UInt8])]] = Array(repeating: [], count: 65_536)
        for row in rows {
            let key = Array(row.key.utf8)
            let hash = Digest.sha256(key).bytes
            buckets[Int(hash[0]) << 8 | Int(hash[1])].append((key, row.value))
        }
        func word(_ number: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } }
        var level = buckets.map { bucket in
            var bytes: [UInt8] = [2] + word(bucket.count)
            for row in bucket.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                bytes += word(row.key.count) + row.key + word(row.value.count) + row.value
            }
            return Digest.sha256(bytes)
        }
        while level.count > 1 {
            level = stride(from: 0, to: level.count, by: 2).map { .sha256([1] + level[$0].bytes + level[$0 + 1].bytes) }
        }
        return level[0]
    }

    @Test("of no rows is the tree over empty buckets")
    func empty() {
        var state = ContractState()
        #expect(state.stateRoot() == Self.slowRoot([]))
    }

    @Test("agrees with the definition while rows come, change and go")
    func incremental() {
        var random = SplitMix64(seed: 5)
        var tree = StateTree()
        var rows: [String: [UInt8]] = [:]
        for _ in 0..<4 {
            var changes: [EncodedRow] = []
            // Few keys, so that rows of one bucket and doubles happen.
            for _ in 0..<3000 {
                let key = "key/\(Int.random(in: 0..<5000, using: &random))"
                let value: [UInt8]? =
                    Int.random(in: 0..<3, using: &random) == 0 ? nil : [UInt8.random(in: 0...9, using: &random)]
                rows[key] = value
                changes.append(EncodedRow(key: Array(key.utf8), value: value))
            }
            tree.apply(changes)
            #expect(tree.root == Self.slowRoot(rows.map { ($0.key, $0.value) }))
        }
        let copy = tree
        tree.apply([EncodedRow(key: Array("key/1".utf8), value: [99])])
        #expect(copy.root != tree.root)
        #expect(copy.root == Self.slowRoot(rows.map { ($0.key, $0.value) }))
    }

    @Test("the root of a pack's state is that of its rows")
    func pack() throws {
        let pack = try FoldPack(named: "random")
        var state = ContractState()
        for leaf in pack.leaves { _ = state.fold(leaf) }
        #expect(state.stateRoot() == Self.slowRoot(state.rows))
    }
}

extension StateTree {
    fileprivate mutating func apply(_ rows: [EncodedRow]) {
        for (number, rows) in Dictionary(grouping: rows, by: { $0.bucket >> 8 }) {
            replace([StatePage(number: number, page: page(number), rows: rows).hashed()])
        }
    }
}
