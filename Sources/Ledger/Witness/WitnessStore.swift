/// What a witness remembers: one row for each log, and proofs that a log has two histories.
///
/// The promise of a witness, never to cosign two trees that contradict each other, is kept by this store: who loses it
/// must not go on under the same key.
public protocol WitnessStore: Sendable {
    /// Gives `decide` the row of an origin and stores the one that it returns, in one step that no other call sees the
    /// middle of. Durable before it returns; when it throws, nothing may be signed.
    ///
    /// - Parameter decide: returns the new row, nil to leave the old one, and a result for the caller.
    func update<Result: Sendable>(
        origin: String,
        _ decide: @escaping @Sendable (WitnessedCheckpoint?) -> (row: WitnessedCheckpoint?, result: Result)
    ) async throws -> Result

    /// The row of an origin.
    func latest(origin: String) async throws -> WitnessedCheckpoint?

    /// Keeps evidence that was verified; the same evidence again changes nothing. Durable before it returns.
    ///
    /// - Returns: false when no more is kept.
    func keep(evidence: [UInt8]) async throws -> Bool

    /// The evidence that is kept, oldest first.
    func evidence() async throws -> [[UInt8]]
}
