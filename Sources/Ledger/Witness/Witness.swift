public import Contracts

/// A witness of logs: it cosigns what it can prove to extend what it cosigned before, and nothing else, ever.
///
/// Without transport and clock of its own. Order of effects: the checks that need no memory; then, in one step of the
/// store, the comparison with what was cosigned and the new row, durable; then the signature. A crash in between leaves
/// a row without a signature, and the log asks again. Any task may call, also at the same time.
public struct Witness: Sendable {
    public let identity: WitnessIdentity
    private let store: any WitnessStore
    private let check: SignatureCheck
    private let clock: @Sendable () -> Timestamp

    /// - Parameters:
    ///   - check: `SignatureCheck.ed25519` for real logs.
    ///   - clock: seconds since 1970.
    public init(
        identity: WitnessIdentity,
        store: any WitnessStore,
        check: SignatureCheck,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.identity = identity
        self.store = store
        self.check = check
        self.clock = clock
    }

    /// Answers an `add-checkpoint` request.
    ///
    /// - Parameter log: what is known of the log now; nil for one that is not witnessed.
    /// - Throws: what the store throws; then nothing was signed.
    public func addCheckpoint(_ body: [UInt8], of log: WitnessedLog?) async throws -> WitnessAnswer {
        let signed: CosigningRules.SignedRequest
        switch CosigningRules.admit(body, to: log, check: check) {
        case .success(let request): signed = request
        case .failure(let answer): return answer
        }
        let now = clock()
        let decision = try await store.update(origin: signed.checkpoint.origin) { latest in
            let decision = CosigningRules.decide(signed, latest: latest, now: now)
            guard case .cosign(let row) = decision else { return (nil, decision) }
            return (row, decision)
        }
        // At this point nobody who uses this store cosigns a tree that contradicts the row.
        switch decision {
        case .cosign(let row):
            return .cosigned(identity.line(over: row).line)
        case .refuse(let answer, let fork):
            if let fork { _ = try await store.keep(evidence: fork.bytes) }
            return answer
        }
    }

    /// Begins with a checkpoint that the node beside this witness has verified, if nothing is remembered of its log: a
    /// witness whose memory alone was lost signs nothing below or beside what its node trusts.
    ///
    /// - Parameters:
    ///   - keys: every key that the log ever had.
    ///   - time: quorum time of the checkpoint.
    /// - Returns: whether it began so.
    func recall(_ checkpoint: Checkpoint, of keys: [VerifierKey], at time: Timestamp) async throws -> Bool {
        guard let row = CosigningRules.recalled(checkpoint, of: keys, at: time, check: check) else { return false }
        return try await store.update(origin: checkpoint.origin) { latest in
            latest == nil ? (row, true) : (nil, false)
        }
    }

    /// The newest checkpoint of a log that this witness cosigned, with its line; nil if there is none.
    public func checkpoint(of origin: String) async throws -> [UInt8]? {
        guard let row = try await store.latest(origin: origin) else { return nil }
        return row.checkpoint.adding([identity.line(over: row)]).bytes
    }

    /// Takes fork evidence from anybody.
    ///
    /// - Parameter keyChain: every key that the log ever had.
    /// - Returns: nil when no more is kept, else `ok` once the proof is stored, or `evidence.invalid`.
    public func add(evidence bytes: [UInt8], origin: String, keyChain: KeyChain) async throws -> VerificationResult? {
        guard let evidence = try? ForkEvidence(parsing: bytes), evidence.a.origin.utf8.elementsEqual(origin.utf8),
            evidence.verify(keyChain: keyChain, check: check) == .ok
        else { return .evidenceInvalid }
        return try await store.keep(evidence: bytes) ? .ok : nil
    }

    /// The evidence that is kept, oldest first.
    public func evidence() async throws -> [[UInt8]] { try await store.evidence() }
}
