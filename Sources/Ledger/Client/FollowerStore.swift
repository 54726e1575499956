internal import Contracts

/// Where the follower keeps what it verified. Each call is durable when it returns; `TrustStore` has the invariants.
protocol FollowerStore: Sendable {
    func leafHashes(size: UInt64) async throws -> [Digest]

    func prepare(_ page: TrustStore.Page, beyond position: TrustedPosition) async throws

    func advance(
        from previous: TrustedPosition,
        to position: TrustedPosition,
        _ changes: some Sequence<StateChange> & Sendable,
        _ last: TrustStore.Page,
        keys: [VerifierKey],
        passed: [PassedSize],
        begunWith origin: SnapshotOrigin?
    ) async throws

    func renew(from previous: TrustedPosition, to position: TrustedPosition) async throws

    func keep(alarm code: LedgerAlarm.Code, _ message: String?, at time: Timestamp) async throws

    /// What was computed at a size; nil if that is not known any more.
    func passed(_ size: UInt64) async throws -> PassedSize?

    /// Root over the outcomes of the first `size` entries; nil if not all of them are kept.
    func outcomeRoot(size: UInt64) async throws -> Digest?

    /// How many proofs of forks are kept.
    var evidenceCount: Int { get }

    /// Keeps the evidence of a fork and says where.
    func keep(_ evidence: ForkEvidence) throws -> String
}

extension TrustStore: FollowerStore {
    var evidenceCount: Int { directory.evidence().count }

    func keep(_ evidence: ForkEvidence) throws -> String {
        let path = try directory.write(evidence.bytes, named: StateDirectory.evidenceName(evidence))
        directory.synchronize()
        return path
    }
}

/// What a follower goes on from.
struct FollowerStart: Sendable {
    var position: TrustedPosition
    var state: ContractState
    var memory: TrustStore.Memory

    init(_ position: TrustedPosition, _ state: ContractState, _ memory: TrustStore.Memory) {
        self.position = position
        self.state = state
        self.memory = memory
    }
}
