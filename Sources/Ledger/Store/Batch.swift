public import Contracts

/// The committed end of the log: everything a restart needs besides the rows.
public struct LogHead: Sendable, Hashable {
    /// The tree over the leaves.
    public var tree: CompactRange
    /// The tree over the outcomes.
    public var outcomes: CompactRange

    public init(tree: CompactRange = CompactRange(), outcomes: CompactRange = CompactRange()) {
        self.tree = tree
        self.outcomes = outcomes
    }

    /// Number of entries.
    public var size: UInt64 { tree.size }
    public var root: Digest { tree.root }

    public static func == (left: LogHead, right: LogHead) -> Bool {
        left.tree == right.tree && left.outcomes == right.outcomes
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(size)
        hasher.combine(root)
    }
}

/// One entry with what the fold made of it.
public struct LogEntry: Sendable {
    public var index: UInt64
    public var leaf: [UInt8]
    public var leafHash: Digest
    public var id: Identifier
    public var code: Code
    /// The outcome's canonical bytes.
    public var outcome: [UInt8]
    /// Ledger time after an entry of the key chain (protocol.md 9, `/keyset`); nil for every other entry.
    public var keyChangeTime: Timestamp? = nil
}

/// What one transaction adds to the log: all of it, or nothing.
public struct Batch: Sendable {
    /// Number of entries before.
    public var base: UInt64
    public var entries: [LogEntry] = []
    /// Roots of the tiles that became full.
    public var tileRoots: [TileRoot] = []
    /// State rows that changed; nil removes the row.
    public var changes: [StateChange] = []
    public var head: LogHead
}
