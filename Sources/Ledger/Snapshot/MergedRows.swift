internal import Contracts

/// The rows of a state's chunks in the order of their keys, merged while they are asked for: a store writes them without
/// a second list of them all in memory.
struct MergedRows: Sequence, Sendable {
    typealias Row = (key: [UInt8], value: [UInt8])

    /// Of each chunk, ascending by key.
    let chunks: [[Row]]

    func makeIterator() -> Iterator { Iterator(chunks) }

    struct Iterator: IteratorProtocol {
        private let chunks: [[Row]]
        /// A heap of the next row of each chunk that has one, the smallest key first.
        private var heap: [(chunk: Int, row: Int)]

        fileprivate init(_ chunks: [[Row]]) {
            self.chunks = chunks
            heap = chunks.indices.filter { !chunks[$0].isEmpty }.map { ($0, 0) }
            heap.sort { chunks[$0.chunk][0].key.lexicographicallyPrecedes(chunks[$1.chunk][0].key) }
        }

        mutating func next() -> StateChange? {
            guard let first = heap.first else { return nil }
            let row = chunks[first.chunk][first.row]
            if first.row + 1 < chunks[first.chunk].count {
                heap[0].row += 1
            } else {
                heap[0] = heap[heap.count - 1]
                heap.removeLast()
            }
            sink()
            return StateChange(key: String(decoding: row.key, as: UTF8.self), value: row.value)
        }

        private mutating func sink() {
            var place = 0
            while 2 * place + 1 < heap.count {
                var child = 2 * place + 1
                if child + 1 < heap.count, precedes(child + 1, child) { child += 1 }
                guard precedes(child, place) else { return }
                heap.swapAt(child, place)
                place = child
            }
        }

        private func precedes(_ left: Int, _ right: Int) -> Bool {
            let (a, b) = (heap[left], heap[right])
            return chunks[a.chunk][a.row].key.lexicographicallyPrecedes(chunks[b.chunk][b.row].key)
        }
    }
}

/// The rows of a snapshot, then those that changed after it.
struct WrittenRows: Sequence, Sendable {
    let attested: MergedRows
    let later: [StateChange]

    func makeIterator() -> some IteratorProtocol<StateChange> {
        [AnySequence(attested), AnySequence(later)].joined().makeIterator()
    }
}
