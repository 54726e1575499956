import HashTreeCollections

/// The work of a state root, cut into parts that need nothing of each other, so that a caller may do them on all cores.
///
/// First every slice encodes its rows, then every page of the hash tree takes the rows that belong to it. `run` does all of
/// it in turn.
public struct StateHashing: Sendable {
    /// Rows of a slice.
    private static let sliceRows = 2_048

    private var keys: [RowKey]
    private let tables: StateTables
    private let tree: StateTree
    /// Whether these are all rows that `takeChangedRows()` would give.
    let coversUnsaved: Bool
    private(set) var slices: [EncodedRows] = []
    private(set) var pages: [HashedPage] = []

    fileprivate init(keys: [RowKey], tables: StateTables, tree: StateTree, coversUnsaved: Bool) {
        self.keys = keys
        self.tables = tables
        self.tree = tree
        self.coversUnsaved = coversUnsaved
    }

    /// How many slices there are.
    public var sliceCount: Int { (keys.count + Self.sliceRows - 1) / Self.sliceRows }

    /// Encodes the rows of a slice and looks for their places. Any task.
    public func slice(_ number: Int) -> EncodedRows {
        let first = number * Self.sliceRows
        let slice = keys[first..<min(first + Self.sliceRows, keys.count)]
        return EncodedRows(rows: slice.map { EncodedRow(key: $0.bytes, value: tables.value(of: $0)?.canonical) })
    }

    /// Takes all slices in their order, and gives the pages that have to be hashed.
    public mutating func take(_ slices: [EncodedRows]) -> [StatePage] {
        var rows = [[EncodedRow]](repeating: [], count: StateTree.pageCount)
        for slice in slices {
            for row in slice.rows { rows[row.bucket >> 8].append(row) }
        }
        self.slices = slices
        keys = []
        return rows.indices.compactMap { number in
            rows[number].isEmpty ? nil : StatePage(number: number, page: tree.page(number), rows: rows[number])
        }
    }

    /// Takes the hashed pages, in any order.
    public mutating func take(_ pages: [HashedPage]) { self.pages = pages }

    /// Does everything in turn.
    mutating func run() {
        take(take((0..<sliceCount).map(slice)).map { $0.hashed() })
    }
}

/// A row as it stands in a store and in the hash tree.
struct EncodedRow: Sendable {
    let key: [UInt8]
    /// Nil for a row that is gone.
    let value: [UInt8]?
    /// Of the 65,536 buckets, the one of the key.
    let bucket: Int

    init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
        bucket = Digest.sha256(key).leadingBits16
    }
}

/// Encoded rows, ascending by key.
public struct EncodedRows: Sendable {
    let rows: [EncodedRow]
}

/// A page of the hash tree, and the rows that it gets, ascending by key.
public struct StatePage: Sendable {
    let number: Int
    let page: StateTree.Page
    let rows: [EncodedRow]

    /// The page with its rows and hashes. Any task.
    public func hashed() -> HashedPage {
        var page = page
        page.apply(rows)
        return HashedPage(number: number, page: page)
    }
}

/// A page whose hashes are up to date.
public struct HashedPage: Sendable {
    let number: Int
    let page: StateTree.Page
}

extension ContractState {
    /// Whether `stateRoot()` has anything to do.
    public var isHashed: Bool { unhashed?.isEmpty == true }

    /// What has to be hashed before the next state root. Nothing else may happen to this state before `finish`.
    public func takeHashing() -> StateHashing {
        StateHashing(
            keys: unhashed?.sorted() ?? tables.keys,
            tables: tables,
            tree: tree,
            coversUnsaved: unhashed == unsaved
        )
    }

    /// Puts the hashed pages into the tree: `stateRoot()` costs nothing from here on.
    public mutating func finish(_ hashing: StateHashing) {
        tree.replace(hashing.pages)
        // A state without rows needs no list of those that change: all of them will.
        if unhashed != nil || !hashing.pages.isEmpty { unhashed = [] }
    }
}
