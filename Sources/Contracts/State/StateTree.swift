/// The hash tree over the 65,536 buckets of state rows (section 7), kept up to date row by row.
///
/// A changed row costs the hash of its key, of its bucket, and of 16 inner nodes that it shares with other changes.
/// Buckets and nodes lie in 256 pages, so that a copy of the tree that changes a few rows copies a few pages.
struct StateTree: Sendable {
    /// A row as it is hashed.
    struct Row: Sendable {
        var key: [UInt8]
        var value: [UInt8]
    }

    struct Page: Sendable {
        /// A complete binary tree in an array: node i has the children 2i and 2i + 1, leaf b is at 256 + b.
        var nodes: [Digest]
        var buckets: [[Row]]

        /// A page whose buckets are all empty or whose tree is known.
        fileprivate init(nodes: [Digest], buckets: [[Row]]) {
            self.nodes = nodes
            self.buckets = buckets
        }

        /// Hashes 256 buckets.
        init(buckets: [[Row]]) {
            nodes = StateTree.completeTree(of: buckets.map { StateTree.bucketHash($0) })
            self.buckets = buckets
        }

        /// Sets rows of this page, and removes those without a value.
        mutating func apply(_ rows: [EncodedRow]) {
            var dirty: Set<Int> = []
            for row in rows {
                let bucket = row.bucket & 255
                StateTree.set(row, in: &buckets[bucket])
                dirty.insert(bucket)
            }
            for bucket in dirty { nodes[256 + bucket] = StateTree.bucketHash(buckets[bucket]) }
            StateTree.rehash(&nodes, above: dirty)
        }
    }

    private var pages: [Page]
    /// The tree over the pages, in the same order; leaf p is the root of page p.
    private var top: [Digest]

    init() {
        self = Self.empty
    }

    /// The tree over 256 pages.
    init(pages: [Page]) {
        self.init(pages: pages, top: Self.completeTree(of: pages.map { $0.nodes[1] }))
    }

    private init(pages: [Page], top: [Digest]) {
        self.pages = pages
        self.top = top
    }

    private static let empty: StateTree = {
        let nodes = emptyPage
        let page = Page(nodes: nodes, buckets: [[Row]](repeating: [], count: 256))
        return StateTree(pages: [Page](repeating: page, count: 256), top: completeTree(over: nodes[1]))
    }()

    /// The nodes of a page without rows. Most buckets of most states are empty, so that each is hashed once.
    private static let emptyPage = completeTree(over: Digest.sha256(bucketBytes([])))

    /// The tree over 256 equal leaves: eight hashes.
    private static func completeTree(over leaf: Digest) -> [Digest] {
        var nodes = [Digest](repeating: leaf, count: 512)
        var first = 128
        while first > 0 {
            let node = MerkleTree.nodeHash(nodes[2 * first], nodes[2 * first + 1])
            for index in first..<2 * first { nodes[index] = node }
            first /= 2
        }
        return nodes
    }

    private static func completeTree(of leaves: [Digest]) -> [Digest] {
        let empty = emptyPage
        var nodes = leaves + leaves
        var index = 255
        while index > 0 {
            let left = nodes[2 * index]
            let right = nodes[2 * index + 1]
            let isEmpty = left == empty[2 * index] && right == empty[2 * index + 1]
            nodes[index] = isEmpty ? empty[index] : MerkleTree.nodeHash(left, right)
            index -= 1
        }
        return nodes
    }

    /// The state root.
    var root: Digest { top[1] }

    /// How many pages there are.
    static let pageCount = 256

    func page(_ number: Int) -> Page { pages[number] }

    /// Puts pages in their places.
    mutating func replace(_ new: [HashedPage]) {
        for page in new {
            pages[page.number] = page.page
            top[256 + page.number] = page.page.nodes[1]
        }
        Self.rehash(&top, above: new.map(\.number))
    }

    /// Hashes the inner nodes again that stand above these leaves.
    private static func rehash(_ nodes: inout [Digest], above leaves: some Sequence<Int>) {
        var level = Set(leaves.map { (256 + $0) / 2 })
        while !level.isEmpty, level != [0] {
            var parents: Set<Int> = []
            for index in level {
                nodes[index] = MerkleTree.nodeHash(nodes[2 * index], nodes[2 * index + 1])
                parents.insert(index / 2)
            }
            level = parents
        }
    }

    private static func set(_ row: EncodedRow, in rows: inout [Row]) {
        // Rows mostly come in the order of their keys.
        let isLast = rows.last.map { $0.key.lexicographicallyPrecedes(row.key) } ?? true
        let index = isLast ? rows.count : rows.firstIndex { !$0.key.lexicographicallyPrecedes(row.key) } ?? rows.count
        let exists = index < rows.count && rows[index].key == row.key
        switch (row.value, exists) {
        case (let value?, true): rows[index].value = value
        case (let value?, false): rows.insert(Row(key: row.key, value: value), at: index)
        case (nil, true): rows.remove(at: index)
        case (nil, false): break
        }
    }

    private static func bucketHash(_ rows: [Row]) -> Digest {
        rows.isEmpty ? emptyPage[256] : .sha256(bucketBytes(rows))
    }

    /// A bucket as it is hashed.
    private static func bucketBytes(_ rows: [Row]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(rows.reduce(5) { $0 + $1.key.count + $1.value.count + 8 })
        bytes.append(2)
        append(rows, to: &bytes)
        return bytes
    }

    /// Appends a bucket without the byte that stands in front when it is hashed.
    static func append(_ rows: [Row], to bytes: inout [UInt8]) {
        append(rows.count, to: &bytes)
        for row in rows {
            append(row.key.count, to: &bytes)
            bytes.append(contentsOf: row.key)
            append(row.value.count, to: &bytes)
            bytes.append(contentsOf: row.value)
        }
    }

    private static func append(_ number: Int, to bytes: inout [UInt8]) {
        let word = UInt32(truncatingIfNeeded: number)
        for shift: UInt32 in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }

    /// Buckets whose rows are not those of another tree, ascending. Found by their hashes, so it costs by the difference.
    func bucketsThatDiffer(from other: StateTree) -> [Int] {
        guard root != other.root else { return [] }
        var buckets: [Int] = []
        for page in 0..<256 where top[256 + page] != other.top[256 + page] {
            for bucket in 0..<256 where pages[page].nodes[256 + bucket] != other.pages[page].nodes[256 + bucket] {
                buckets.append(page << 8 | bucket)
            }
        }
        return buckets
    }

    /// The rows of a bucket, 0...65535, ascending by key.
    func rows(inBucket number: Int) -> [Row] {
        pages[number >> 8].buckets[number & 255]
    }
}

extension Digest {
    /// The first two bytes as a number.
    var leadingBits16: Int { Int(raw.w0 >> 48) }
}
