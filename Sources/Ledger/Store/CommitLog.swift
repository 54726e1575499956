public import Contracts

/// The durable log as the sequencer sees it.
///
/// Every call may fail, and a call that fails may still have taken effect: a full disk, a lost answer, a crash of the
/// other side. After an error only `head()` says what is committed.
public protocol CommitLog: Sendable {
    /// The committed head, read from the store and never from memory.
    func head() async throws -> LogHead

    /// Appends a batch if the committed size is still `batch.base`: entries, tile roots, outcomes, state rows and head
    /// in one step, durable before it returns.
    ///
    /// - Throws: `StoreError.headMoved` if the committed size is another one.
    func commit(_ batch: Batch) async throws

    /// Records that this size is about to be signed with this root, durable before it returns.
    ///
    /// - Throws: `StoreError.signingRefused` for a size smaller than the last recorded one, or an equal one with
    ///   another root; then nothing may be signed.
    func permitSigning(size: UInt64, root: Digest) async throws

    /// Keeps a signed checkpoint, durable before it returns.
    func publish(checkpoint: [UInt8], size: UInt64) async throws

    /// The index of the logged entry with this txid and code ok.
    func index(of id: Identifier) async throws -> UInt64?

    /// The receipts of the given entries. Each is over the first kept checkpoint that covers its entry, so that asking
    /// again gives the same bytes.
    ///
    /// - Throws: `StoreError.missing` if no kept checkpoint covers an entry.
    func receipts(of indices: [UInt64]) async throws -> [[UInt8]]
}
