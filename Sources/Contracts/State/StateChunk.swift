import HashTreeCollections

/// 256 adjacent buckets of the state, the 256th part of it, as section 7 hashes them and a snapshot carries them
/// (section 9): of each bucket `u32 count`, then for each row its key and its value, each with its `u32` length.
///
/// A chunk that was parsed has its keys in their buckets and in order; whether its rows are those of a ledger, only its
/// root can say.
public struct StateChunk: Sendable {
    /// How many chunks a state has.
    public static let count = 256

    /// Position in the state, 0...255: the first byte of the hash of each key.
    public let number: Int

    let page: StateTree.Page

    /// The root of the subtree over its buckets.
    public var root: Digest { page.nodes[1] }

    /// The rows of one chunk, ascending by key.
    public init(number: Int, rows: some Sequence<(key: [UInt8], value: [UInt8])>) {
        precondition((0..<Self.count).contains(number), "a state has 256 chunks")
        var buckets = [[StateTree.Row]](repeating: [], count: 256)
        for row in rows {
            buckets[Digest.sha256(row.key).leadingBits16 & 255].append(StateTree.Row(key: row.key, value: row.value))
        }
        self.init(number: number, buckets: buckets)
    }

    /// The 256 buckets of a chunk, each with its rows ascending by key.
    init(number: Int, buckets: [[StateTree.Row]]) {
        self.number = number
        page = StateTree.Page(buckets: buckets)
    }

    /// The chunk that a row belongs to.
    public static func number(ofKey key: [UInt8]) -> Int { Digest.sha256(key).leadingBits16 >> 8 }

    /// The root of the state with these chunk roots, 256 of them in order.
    public static func stateRoot(_ roots: [Digest]) -> Digest {
        precondition(roots.count == count, "a state has 256 chunks")
        var nodes = roots
        while nodes.count > 1 {
            nodes = stride(from: 0, to: nodes.count, by: 2).map { MerkleTree.nodeHash(nodes[$0], nodes[$0 + 1]) }
        }
        return nodes[0]
    }

    // MARK: Bytes

    /// The bytes that are served.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for bucket in page.buckets { StateTree.append(bucket, to: &bytes) }
        return bytes
    }

    /// Parses the bytes of a chunk.
    ///
    /// - Throws: `StateError.chunk` when they are not 256 buckets, or a key is not in its bucket or its order.
    public init(parsing bytes: [UInt8], number: Int) throws(StateError) {
        var reader = ChunkReader(bytes)
        var buckets: [[StateTree.Row]] = []
        buckets.reserveCapacity(256)
        for bucket in 0..<256 {
            guard let count = reader.word() else { throw .chunk(number) }
            var rows: [StateTree.Row] = []
            for _ in 0..<count {
                guard let key = reader.field(atMost: ChunkReader.longestKey), let value = reader.field() else {
                    throw .chunk(number)
                }
                if let last = rows.last, !last.key.lexicographicallyPrecedes(key) { throw .chunk(number) }
                guard Digest.sha256(key).leadingBits16 == number << 8 | bucket else { throw .chunk(number) }
                rows.append(StateTree.Row(key: key, value: value))
            }
            buckets.append(rows)
        }
        guard reader.isAtEnd else { throw .chunk(number) }
        self.init(number: number, buckets: buckets)
    }

    // MARK: Rows

    /// The rows, in no order that matters.
    public var rows: [(key: [UInt8], value: [UInt8])] {
        page.buckets.flatMap { $0.map { ($0.key, $0.value) } }
    }

    /// The chunk with its rows as typed values. Costs most of what restoring a state costs, and needs nothing else, so
    /// that chunks can be decoded beside each other.
    ///
    /// - Throws: `StateError.key` or `.value` for a row that no fold writes.
    public func decoded() throws(StateError) -> DecodedStateChunk {
        var rows: [TypedRow] = []
        for row in page.buckets.joined() {
            rows.append(try TypedRow(key: row.key, value: row.value))
        }
        return DecodedStateChunk(chunk: self, rows: rows)
    }
}

/// A chunk and its rows as typed values. Only `StateChunk.decoded()` makes one.
public struct DecodedStateChunk: Sendable {
    public let chunk: StateChunk
    let rows: [TypedRow]

    fileprivate init(chunk: StateChunk, rows: [TypedRow]) {
        self.chunk = chunk
        self.rows = rows
    }
}

extension ContractState {
    /// The state of which these are all 256 chunks in order, after `size` entries with these outcomes.
    ///
    /// Its hash tree is that of the chunks: nothing is hashed again. Compare `stateRoot()` with an attested one before
    /// anything of the state is believed.
    public init(chunks: [DecodedStateChunk], size: UInt64, outcomes: CompactRange) throws(StateError) {
        guard chunks.count == StateChunk.count, outcomes.size == size else { throw .size }
        for (number, chunk) in chunks.enumerated() where chunk.chunk.number != number { throw .chunk(number) }
        try self.init(restoring: chunks.lazy.map(\.rows), size: size, outcomes: outcomes)
        adopt(chunks.map(\.chunk))
    }
}

/// Reads words and fields with a length from the bytes of a chunk.
private struct ChunkReader {
    /// Longest key of section 3.1, in bytes: `delegate/` and two ids.
    static let longestKey = 256

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func word() -> Int? {
        guard bytes.count - position >= 4 else { return nil }
        defer { position += 4 }
        return (0..<4).reduce(0) { $0 << 8 | Int(bytes[position + $1]) }
    }

    mutating func field(atMost limit: Int = .max) -> [UInt8]? {
        guard let length = word(), length <= limit, bytes.count - position >= length else { return nil }
        defer { position += length }
        return Array(bytes[position..<position + length])
    }
}
