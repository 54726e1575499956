public import Contracts

/// The first thing of a ledger's directory that is not what it must be.
public struct StoreFault: Error, Sendable, Hashable {
    /// Table of the database, or the name of a file.
    public var table: String
    /// Index, size or key of the row; nil when the fault is the table's.
    public var row: String?
    /// Stable name of the rule, such as `entry.hash`.
    public var rule: String
    /// What the rule says.
    public var message: String

    init(_ table: String, _ row: String? = nil, _ rule: String, _ message: String) {
        self.table = table
        self.row = row
        self.rule = rule
        self.message = message
    }

    init(_ table: String, _ row: some BinaryInteger, _ rule: String, _ message: String) {
        self.init(table, "\(row)", rule, message)
    }
}

extension StoreFault {
    /// A directory that is in order, of another ledger than the one that was asked for.
    public init(foreignTo pin: Identifier) {
        self.init("entry", 0, "entry.ledger", "the genesis is not that of ledger \(pin.hex)")
    }
}

extension StoreFault: CustomStringConvertible {
    public var description: String {
        "\(table)\(row.map { " row \($0)" } ?? ""): \(message) (\(rule))"
    }
}

/// What a check of a ledger's directory found.
public struct StoreCheckReport: Sendable {
    /// The ledger's id, which the caller compares with the one that was published; nil before genesis was read.
    public var ledgerID: Identifier?
    /// Entries that were verified.
    public var size: UInt64 = 0
    public var root = MerkleTree.emptyRoot
    public var outcomeRoot = MerkleTree.emptyRoot
    public var stateRoot: Digest?
    /// Kept checkpoints that were verified.
    public var checkpoints: UInt64 = 0
    /// The last tree that was, or was about to be, signed.
    public var guardedSize: UInt64?
    /// The first fault; nil when everything holds.
    public var fault: StoreFault?
}
