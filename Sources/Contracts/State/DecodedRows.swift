import HashTreeCollections

/// Some rows of a stored state, decoded and put at their places in the hash tree: all the work on a row that needs no
/// other row, so that the parts of a store can be read beside each other.
public struct DecodedRows: Sendable {
    /// Typed values, in the order of the rows.
    let rows: [TypedRow]
    /// The rows as they are hashed, by chunk, in their order within a chunk; empty without a hash tree.
    private let placed: [(bucket: UInt8, row: StateTree.Row)]
    /// Where each chunk begins in `placed`, and its end.
    private let starts: [Int]

    /// - Parameters:
    ///   - rows: consecutive rows, ascending by the bytes of their keys.
    ///   - isHashed: whether a hash tree will be made of them.
    /// - Throws: `StateError.key` or `.value` for a row that no fold writes.
    public init(_ rows: [(key: [UInt8], value: [UInt8])], isHashed: Bool) throws(StateError) {
        var typed: [TypedRow] = []
        typed.reserveCapacity(rows.count)
        for row in rows { typed.append(try TypedRow(key: row.key, value: row.value)) }
        self.rows = typed
        guard isHashed else {
            (placed, starts) = ([], [])
            return
        }
        // A counting sort keeps the order of the keys within a chunk.
        let numbers = rows.map { Digest.sha256($0.key).leadingBits16 }
        var starts = [Int](repeating: 0, count: StateChunk.count + 1)
        for number in numbers { starts[number >> 8 + 1] += 1 }
        for chunk in 1...StateChunk.count { starts[chunk] += starts[chunk - 1] }
        var next = starts
        var order = [Int](repeating: 0, count: rows.count)
        for (index, number) in numbers.enumerated() {
            order[next[number >> 8]] = index
            next[number >> 8] += 1
        }
        placed = order.map {
            (UInt8(truncatingIfNeeded: numbers[$0]), StateTree.Row(key: rows[$0].key, value: rows[$0].value))
        }
        self.starts = starts
    }

    fileprivate func append(chunk number: Int, to buckets: inout [[StateTree.Row]]) throws(StateError) {
        guard !starts.isEmpty else { throw .chunk(number) }
        for (bucket, row) in placed[starts[number]..<starts[number + 1]] {
            if let last = buckets[Int(bucket)].last, !last.key.lexicographicallyPrecedes(row.key) {
                throw .chunk(number)
            }
            buckets[Int(bucket)].append(row)
        }
    }
}

extension StateChunk {
    /// A chunk of the state that these parts make, hashed. Needs nothing of the other chunks.
    ///
    /// - Parameter parts: all rows of the state, in the order of their keys.
    /// - Throws: `StateError.chunk` when two rows are not in their order, or the parts have no places.
    public init(number: Int, of parts: [DecodedRows]) throws(StateError) {
        var buckets = [[StateTree.Row]](repeating: [], count: 256)
        for part in parts { try part.append(chunk: number, to: &buckets) }
        self.init(number: number, buckets: buckets)
    }
}

extension ContractState {
    /// The state of these rows, without a hash tree: `adopt` gives it one, else it is made when the state root is asked
    /// for.
    ///
    /// The rows are trusted to come from a fold; only their form is checked. Compare `stateRoot()` where that matters.
    public init(parts: [DecodedRows], size: UInt64, outcomes: CompactRange) throws(StateError) {
        guard outcomes.size == size else { throw .size }
        try self.init(restoring: parts.lazy.map(\.rows), size: size, outcomes: outcomes)
    }

    init(
        restoring parts: some Sequence<[TypedRow]>,
        size: UInt64,
        outcomes: CompactRange
    ) throws(StateError) {
        self.init()
        var restoration = Restoration()
        for rows in parts {
            for row in rows { try restore(row, &restoration) }
        }
        try finish(restoration)
        finish(restoredTo: size, outcomes)
    }

    /// Takes the hash tree of its rows: nothing is hashed again. Compare `stateRoot()` with a root that is believed
    /// before anything of the state is.
    ///
    /// - Parameter chunks: all 256, in order, of the rows that the state was made of, before any of them changed.
    public mutating func adopt(_ chunks: [StateChunk]) {
        precondition(chunks.indices.allSatisfy { chunks[$0].number == $0 }, "chunks are in order")
        tree = StateTree(pages: chunks.map(\.page))
        unhashed = []
    }
}
