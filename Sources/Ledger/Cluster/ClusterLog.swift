internal import Contracts
internal import Logging

/// A log that several members append to, with etcd as the place where one of them is first.
///
/// - **Append.** One transaction puts the batch and the new head, on the condition that the head is still the one the
///   batch was made on. Of all batches for one base etcd takes one; a member keeps it in its own `LedgerStore` after
///   that, so the disk of a member never holds what the cluster did not decide.
/// - **Unknown outcome** (time-out, cut connection): the head and the batch at the position are read. If the batch is
///   this member's, byte for byte, it is in the log; otherwise another one is, or none yet. One that arrives later
///   still is found as a batch of somebody else, and its entries are in the log once.
/// - **Trust.** etcd is believed about order and availability, about nothing else: the sequencer folds the leaves, and
///   size, root and outcome root must come out as written.
/// - **Signing.** A row in etcd, changed by compare-and-swap, and the row of the own store must both permit a size.
///   Members sign only what they hold, and what they hold is the same.
actor ClusterLog: CommitLog {
    /// Attempts at the sign guard's row before the log is followed first; each failed one means that another member
    /// signed meanwhile.
    private static let guardAttempts = 8

    nonisolated let isShared = true
    nonisolated let store: LedgerStore
    nonisolated let etcd: EtcdClient
    nonisolated let membership: ClusterFile
    nonisolated let keys: ClusterKeys
    nonisolated let ledger: Identifier
    nonisolated let signer: CheckpointSigner
    nonisolated let logger: Logger

    /// The sign guard's row as it was last seen; nil when there was none.
    private var lastGuard: [UInt8]?
    /// Entries that another member's tiles gave, while this one is behind what etcd keeps.
    var refill: Refill?

    init(
        _ membership: ClusterFile,
        store: LedgerStore,
        etcd: EtcdClient,
        ledger: Identifier,
        signer: CheckpointSigner,
        logger: Logger
    ) {
        self.membership = membership
        self.store = store
        self.etcd = etcd
        self.ledger = ledger
        self.signer = signer
        self.logger = logger
        keys = ClusterKeys(cluster: membership.cluster)
    }

    // MARK: Appending

    func head() async throws -> LogHead { try await store.head() }

    func commit(_ batch: Batch) async throws {
        let before = try await store.head()
        guard before.size == batch.base else {
            throw StoreError.headMoved(expected: batch.base, found: before.size)
        }
        try await append(batch, after: before)
        // At this point the batch is the cluster's, whatever happens to this member: `batch(after:)` gives it again.
        try await store.commit(batch)
    }

    private func append(_ batch: Batch, after before: LogHead) async throws {
        let old = bytes(.head(ClusterRecord.Head(before)))
        let new = bytes(.head(ClusterRecord.Head(batch.head)))
        let key = keys.batch(batch.base)
        let value = bytes(
            .batch(
                ClusterRecord.Batch(
                    author: membership.member,
                    base: ClusterRecord.Head(before),
                    head: ClusterRecord.Head(batch.head),
                    leaves: batch.entries.map(\.leaf)
                )
            )
        )
        let found: EtcdClient.Result
        do throws(ClusterError) {
            found = try await etcd.transact(
                if: [.has(keys.head, value: old)],
                then: [.put(keys.head, new), .put(key, value)],
                else: [.get(key)]
            )
            if found.succeeded { return }
        } catch {
            guard case .unavailable = error else { throw error }
            logger.debug("a commit has an unknown outcome", metadata: ["reason": "\(error)"])
            found = try await etcd.transact(then: [.get(key)])
        }
        // An attempt before the answered one may have been the one that took effect.
        guard let row = found.rows.first?.first, row.value == value else { throw LogMovedOn() }
    }

    func confirm(_ head: LogHead) async throws {
        guard try await clusterHead() == ClusterRecord.Head(head) else { throw LogMovedOn() }
    }

    // MARK: Following

    func batch(after head: LogHead) async throws -> CommittedBatch? {
        if let batch = try await refilled(after: head) { return batch }
        let found = try await etcd.transact(then: [
            .get(keys.head), .list(first: keys.batch(head.size), end: keys.batchesEnd, limit: 1),
        ])
        let cluster = try clusterHead(found.rows[0])
        let own = ClusterRecord.Head(head)
        guard cluster.size > own.size else {
            guard cluster == own else { throw contradiction(cluster, own) }
            return nil
        }
        let key = keys.batch(head.size)
        guard let row = found.rows[1].first, row.key == key else {
            try await startRefill(after: head)
            return try await refilled(after: head)
        }
        guard case .batch(let batch) = try record(row) else { throw misplaced(row) }
        guard batch.base == own else { throw contradiction(batch.base, own) }
        return CommittedBatch(
            base: batch.base.size,
            leaves: batch.leaves,
            root: batch.head.root,
            outcomeRoot: batch.head.outcomeRoot
        )
    }

    func follow(_ batch: Batch) async throws { try await store.commit(batch) }

    /// The cluster's log is not a continuation of what this member holds. Final: one of the two was set back.
    private func contradiction(_ cluster: ClusterRecord.Head, _ own: ClusterRecord.Head) -> StoreError {
        .contradiction(
            "the cluster \(membership.cluster) has \(cluster.size) entries with the root \(cluster.root), this member has "
                + "\(own.size) with \(own.root), and one does not continue the other: etcd or this directory was restored "
                + "from an old copy"
        )
    }

    private func clusterHead() async throws -> ClusterRecord.Head {
        try clusterHead(try await etcd.transact(then: [.get(keys.head)]).rows[0])
    }

    private func clusterHead(_ rows: [EtcdClient.Row]) throws -> ClusterRecord.Head {
        guard let row = rows.first else {
            throw StoreError.contradiction("\(ClusterError.missing(cluster: membership.cluster))")
        }
        guard case .head(let head) = try record(row) else { throw misplaced(row) }
        return head
    }

    /// A value that is not to be used is final: going on could fold what no member wrote.
    nonisolated func record(_ row: EtcdClient.Row) throws(StoreError) -> ClusterRecord {
        do throws(ClusterError) {
            return try ClusterRecord(row.value, of: ledger, at: row.key)
        } catch {
            throw .contradiction("\(error)")
        }
    }

    nonisolated func misplaced(_ row: EtcdClient.Row) -> StoreError {
        .contradiction("\(ClusterError.foreign(key: row.key, reason: "it belongs to another key"))")
    }

    private func bytes(_ record: ClusterRecord) -> [UInt8] { record.bytes(of: ledger) }

    // MARK: Signing

    func permitSigning(size: UInt64, root: Digest) async throws {
        try await permitInCluster(size: size, root: root)
        // At this point no member will sign another tree of this size. Now the same for this member, should etcd be
        // set back one day.
        try await store.permitSigning(size: size, root: root)
    }

    private func permitInCluster(size: UInt64, root: Digest) async throws {
        let wanted = bytes(.guarded(size: size, root: root))
        for _ in 0..<Self.guardAttempts {
            let condition = lastGuard.map { EtcdClient.Condition.has(keys.guarded, value: $0) }
            let found = try await etcd.transact(
                if: [condition ?? .isAbsent(keys.guarded)],
                then: [.put(keys.guarded, wanted)],
                else: [.get(keys.guarded), .get(keys.head)]
            )
            if found.succeeded {
                lastGuard = wanted
                return
            }
            guard let row = found.rows[0].first else {
                lastGuard = nil
                continue
            }
            guard case .guarded(let lastSize, let lastRoot) = try record(row) else { throw misplaced(row) }
            if size == lastSize, root == lastRoot { return }
            guard size > lastSize else {
                // A smaller one is behind, if the cluster really has what the row speaks of.
                guard size < lastSize, try clusterHead(found.rows[1]).size >= lastSize else {
                    throw StoreError.signingRefused(size: size, lastSize: lastSize)
                }
                throw LogMovedOn()
            }
            lastGuard = row.value
        }
        throw LogMovedOn()
    }

    // MARK: The member's own copy

    func publish(checkpoint: [UInt8], size: UInt64) async throws {
        try await store.publish(checkpoint: checkpoint, size: size)
    }

    func index(of id: Identifier) async throws -> UInt64? { try await store.index(of: id) }

    func receipts(of indices: [UInt64]) async throws -> [[UInt8]] { try await store.receipts(of: indices) }
}
