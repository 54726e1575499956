import Contracts

/// The outcomes of a log, as the fold computed them or as a pack recorded them, and the tree over them.
struct OutcomeList {
    private enum Lines {
        case computed([Outcome])
        case recorded([UInt8], [Range<Int>])
    }

    private let lines: Lines

    /// Hashes of all perfect subtrees, the leaves first.
    private let levels: [[Digest]]

    init(computed: [Outcome]) {
        lines = .computed(computed)
        levels = Self.levels(computed.map { MerkleTree.leafHash($0.canonical) })
    }

    /// Takes the lines of `outcomes.jsonl`.
    init(recorded bytes: [UInt8]) {
        var ranges: [Range<Int>] = []
        var start = 0
        while let end = bytes[start...].firstIndex(of: 0x0A) {
            ranges.append(start..<end)
            start = end + 1
        }
        lines = .recorded(bytes, ranges)
        levels = Self.levels(ranges.map { MerkleTree.leafHash(Array(bytes[$0])) })
    }

    var count: UInt64 { UInt64(levels[0].count) }

    /// The canonical text of an outcome.
    func line(_ index: UInt64) -> String {
        switch lines {
        case .computed(let outcomes): String(decoding: outcomes[Int(index)].canonical, as: UTF8.self)
        case .recorded(let bytes, let ranges): String(decoding: bytes[ranges[Int(index)]], as: UTF8.self)
        }
    }

    /// The first index at which two lists differ, as far as both go.
    static func firstDifference(_ a: OutcomeList, _ b: OutcomeList) -> UInt64? {
        Proofs.firstDifference(size: min(a.count, b.count), a.subtree, b.subtree)
    }

    private func subtree(level: Int, index: UInt64) -> Digest { levels[level][Int(index)] }

    private static func levels(_ leaves: [Digest]) -> [[Digest]] {
        var levels = [leaves]
        while let last = levels.last, last.count > 1 {
            levels.append(
                stride(from: 0, to: last.count - 1, by: 2).map { MerkleTree.nodeHash(last[$0], last[$0 + 1]) }
            )
        }
        return levels
    }
}
