public import Contracts

/// The durable log as the sequencer sees it: the one line between sequencing and where batches are kept.
///
/// `LedgerStore` is a log with one writer, on this server's disk. `ClusterLog` is a log with several: a batch is decided
/// by a compare-and-swap that all members see, and each member keeps what was decided in a `LedgerStore` of its own.
///
/// Every call may fail, and a call that fails may still have taken effect: a full disk, a lost answer, a crash of the
/// other side. After an error only `head()` and `batch(after:)` say what is committed.
public protocol CommitLog: Sendable {
    /// Whether others write to it too, so that `batch(after:)` has to be asked from time to time.
    var isShared: Bool { get }

    /// The committed head as this server's disk holds it, read from there and never from memory. In a shared log others
    /// may be ahead of it, never behind.
    func head() async throws -> LogHead

    /// Appends a batch if the committed size is still `batch.base`: entries, tile roots, outcomes, state rows and head
    /// in one step, durable on this server's disk before it returns. Of all batches for one base at most one is ever
    /// appended, whoever made them.
    ///
    /// - Throws: `LogMovedOn` if another writer's batch has this place; `StoreError.headMoved` in a log that has no
    ///   other writer. After any other error the batch may be in the log all the same.
    func commit(_ batch: Batch) async throws

    /// Says that no other writer is ahead of `head`, at a moment after the call began. A refusal that was judged on a
    /// head which was not the newest may be wrong.
    ///
    /// - Throws: `LogMovedOn` if somebody is.
    func confirm(_ head: LogHead) async throws

    /// What another writer, or a commit of this one whose answer was lost, appended after `head`; nil if `head` is the
    /// newest. Its leaves are those of the log, but nothing else of it is to be believed: the caller folds them.
    func batch(after head: LogHead) async throws -> CommittedBatch?

    /// Keeps a batch that `batch(after:)` gave, folded by the caller, durable on this server's disk before it returns.
    func follow(_ batch: Batch) async throws

    /// Records that this size is about to be signed with this root, durable before it returns.
    ///
    /// - Throws: `StoreError.signingRefused` for a size smaller than the last recorded one, or an equal one with
    ///   another root; then nothing may be signed. `LogMovedOn` if a larger size of the same log was permitted to
    ///   another writer: follow, then sign that.
    func permitSigning(size: UInt64, root: Digest) async throws

    /// Keeps a signed checkpoint, durable before it returns.
    func publish(checkpoint: [UInt8], size: UInt64) async throws

    /// The index of the logged entry with this txid and code ok, as far as this server has the log.
    func index(of id: Identifier) async throws -> UInt64?

    /// The receipts of the given entries. Each is over the first checkpoint that this server kept and that covers its
    /// entry, so that asking it again gives the same bytes.
    ///
    /// - Throws: `StoreError.missing` if no kept checkpoint covers an entry.
    func receipts(of indices: [UInt64]) async throws -> [[UInt8]]
}

/// Leaves that were appended behind a head by somebody else, in their order.
public struct CommittedBatch: Sendable {
    /// Number of entries before.
    public var base: UInt64
    public var leaves: [[UInt8]]
    /// Root of the tree with them; the caller's own must be the same.
    public var root: Digest
    /// Root over the outcomes with theirs; nil where nobody said it.
    public var outcomeRoot: Digest?
}

/// Another writer is ahead: nothing took effect, and after following it the same may be tried again.
public struct LogMovedOn: Error, Sendable, Hashable {}

/// A log that nobody else writes to.
extension CommitLog {
    public var isShared: Bool { false }

    public func confirm(_ head: LogHead) async throws {}

    public func batch(after head: LogHead) async throws -> CommittedBatch? { nil }

    public func follow(_ batch: Batch) async throws { try await commit(batch) }
}
