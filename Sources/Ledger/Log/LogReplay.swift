public import Contracts

/// The fold over a log from its first entry, with what a verifier needs to know about the way.
public struct LogReplay: Sendable {
    /// State after the entries so far.
    public internal(set) var state = ContractState()

    /// Tree over the leaves that were folded.
    public private(set) var tree = CompactRange()

    /// All keys that ever signed for the ledger.
    public private(set) var keyChain = KeyChain()

    /// How many entries had each code.
    public private(set) var codes: [Code: UInt64] = [:]

    /// Whether an entry was met that is not for this implementation.
    public private(set) var isUnsupported = false

    private var keysVersion: Int64 = 0

    /// Before the first entry.
    public init() {}

    /// A replay whose state and tree were verified before, at the same size.
    init(resuming state: ContractState, tree: CompactRange, keyChain: KeyChain, codes: [Code: UInt64]) {
        precondition(state.size == tree.size, "state and tree are of one size")
        self.state = state
        self.tree = tree
        self.keyChain = keyChain
        self.codes = codes
        keysVersion = state.ledgerKeysVersion
    }

    /// Rows that changed since the last call.
    mutating func takeChangedRows(hashedBy hashing: StateHashing?) -> ChangedRows {
        state.takeChangedRows(hashedBy: hashing)
    }

    /// Folds the next leaf; nil, and no change, when a fold upgrade was reached.
    public mutating func fold(
        _ parsed: ParsedEntry,
        leafHash: Digest,
        verdicts: SignatureVerdicts = SignatureVerdicts()
    ) -> Outcome? {
        guard !isUnsupported, case .outcome(let outcome) = state.apply(parsed, verdicts: verdicts) else {
            isUnsupported = true
            return nil
        }
        tree.append(leafHash)
        codes[outcome.code, default: 0] += 1
        if state.ledgerKeysVersion != keysVersion {
            keysVersion = state.ledgerKeysVersion
            keyChain.add(state.ledgerKeys)
        }
        return outcome
    }

    /// State root after the entries so far. Costs hashes for the rows changed since the last call.
    public mutating func stateRoot() -> Digest { state.stateRoot() }

    /// Checks the checkpoint of all entries: signature and quorum under the keys and the policy reached, then the ticks.
    ///
    /// With a stop before the last entry those are the keys reached at the stop. Times of witnesses all count; `localNow`
    /// is the time of receipt for a ledger whose quorum is none.
    public func judge(
        _ checkpoint: Checkpoint,
        dev: Bool,
        localNow: Timestamp
    ) -> Result<JudgedCheckpoint, AuditFailure> {
        let judge = CheckpointJudge(
            origin: state.meta?.origin ?? "",
            ledgerKeys: state.ledgerKeys,
            policy: state.policy ?? .none,
            dev: dev
        )
        switch judge.judge(checkpoint, localNow: nil) {
        case .failure(let result):
            return .failure(AuditFailure(result, "the checkpoint of size \(checkpoint.size) does not hold"))
        case .success(let judged):
            let limit = (judged.quorumTime ?? localNow) + WitnessPolicy.clockTolerance
            if state.ticks > 0, state.now > limit {
                return .failure(
                    AuditFailure(.timeJump, "the last tick, \(state.now), is more than 300 s after the quorum time")
                )
            }
            return .success(judged)
        }
    }
}
