public import Contracts

/// How far this node has verified one ledger: the row of the trust store (protocol.md 10.1).
public struct TrustedPosition: Sendable, Equatable {
    /// Why the watcher stopped for good; lifted only by an operator or, where noted, by a better checkpoint.
    public struct Halt: Sendable, Equatable {
        public var result: VerificationResult
        public var message: String
    }

    public var ledgerID: Identifier
    /// Origin line of the checkpoints, from genesis; empty before genesis was verified.
    public var origin: String
    /// Position in the key chain: the number of the last effective genesis, root.rotate, ledger.keys, policy.set or
    /// protocol.upgrade.
    public var keyset: UInt64
    public var root: Digest
    /// The newest verified note of this size; empty at size 0.
    public var checkpoint: [UInt8]
    /// Right edge of the tree.
    public var edge: CompactRange
    public var fold: Int
    /// Right edge of the tree of outcomes.
    public var outcomes: CompactRange
    public var stateRoot: Digest
    /// Ledger time.
    public var lastTick: Timestamp
    /// Largest quorum time of a checkpoint of this size.
    public var quorumTime: Timestamp
    public var halt: Halt?

    public var size: UInt64 { edge.size }

    /// Nothing verified yet: the pin alone.
    init(ledgerID: Identifier) {
        self.ledgerID = ledgerID
        origin = ""
        keyset = 0
        root = MerkleTree.emptyRoot
        checkpoint = []
        edge = CompactRange()
        fold = 1
        outcomes = CompactRange()
        var state = ContractState()
        stateRoot = state.stateRoot()
        lastTick = 0
        quorumTime = 0
        halt = nil
    }

    /// SHA-256 over every member, each with its length: what the stored row is checked against.
    var seal: Digest {
        var bytes = Array("webgw trust row 1".utf8)
        func add(_ field: some Collection<UInt8>) {
            withBigEndian(UInt64(field.count)) { bytes += $0 }
            bytes += field
        }
        func add(_ number: UInt64) { withBigEndian(number) { add($0) } }
        add(ledgerID.bytes)
        add(origin.utf8)
        add(keyset)
        add(root.bytes)
        add(checkpoint)
        add(edge.size)
        add(edge.hashes.flatMap(\.bytes))
        add(UInt64(fold))
        add(outcomes.size)
        add(outcomes.hashes.flatMap(\.bytes))
        add(stateRoot.bytes)
        add(UInt64(lastTick))
        add(UInt64(quorumTime))
        add((halt?.result.rawValue ?? "").utf8)
        add((halt?.message ?? "").utf8)
        return Digest.sha256(bytes)
    }
}

private func withBigEndian(_ number: UInt64, _ body: ([UInt8]) -> Void) {
    body((0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) })
}
