internal import Contracts

/// Makes checkpoints that everybody who follows the ledger can accept: signed under the keys in force and those just
/// replaced, cosigned as the policies in force and just replaced ask.
struct CheckpointPublisher: Sendable {
    let store: LedgerStore
    let signer: CheckpointSigner
    let collector: CosignatureCollector

    /// - Parameter now: ledger time of the tree.
    /// - Throws: `QuorumMissing` when too few witnesses cosign now.
    func checkpoint(size: UInt64, root: Digest, now: Timestamp) async throws -> [UInt8] {
        let duties = SigningDuties(chain: try await store.keyChain(), now: now)
        guard let signed = signer.checkpoint(size: size, root: root, keys: duties.keys) else {
            throw StoreError.unusable("this server holds none of the ledger's keys")
        }
        return try await collector.cosign(signed, policies: duties.policies).bytes
    }
}
