import Contracts

/// Judges the attack files of a pack against the trusted states that the replay passes.
struct AttackJudge: Sendable {
    /// What a verifier that trusts the first `size` entries knows.
    private struct Trusted: Sendable {
        let origin: String
        let ledgerKeys: [VerifierKey]
        let policy: WitnessPolicy
        let keyChain: KeyChain

        init(_ replay: LogReplay) {
            origin = replay.state.meta?.origin ?? ""
            ledgerKeys = replay.state.ledgerKeys
            policy = replay.state.policy ?? .none
            keyChain = replay.keyChain
        }
    }

    private let cases: [AttackCase]
    private var trusted: [UInt64: Trusted] = [:]

    /// Sizes at which the replay must be observed: those that are trusted.
    let trustedSizes: Set<UInt64>

    /// Sizes of the notes: the judge asks for the root of the pack's leaves at each.
    let noteSizes: Set<UInt64>

    init(_ cases: [AttackCase]) {
        self.cases = cases
        trustedSizes = Set(cases.map(\.trusted))
        noteSizes = Set(
            cases.compactMap { element in
                element.kind == .checkpoint ? (try? Checkpoint(parsing: element.bytes))?.size : nil
            }
        )
    }

    mutating func observe(_ replay: LogReplay) {
        trusted[replay.state.size] = Trusted(replay)
    }

    /// One verdict for each file, in the order of the index.
    func verdicts(after replay: LogReplay, leaves: VerifiedLeaves, dev: Bool) -> [CaseVerdict] {
        cases.map { element in
            // A size that the replay does not reach is judged with the last keys that it reached.
            let known = trusted[element.trusted] ?? Trusted(replay)
            let result: VerificationResult
            switch element.kind {
            case .checkpoint: result = judgeCheckpoint(element, known, leaves, dev)
            case .entries: result = judgeEntries(element, leaves.checkpoint)
            case .evidence: result = judgeEvidence(element, known)
            }
            return CaseVerdict(name: element.file, expected: element.expected, got: result.rawValue)
        }
    }

    private func judgeCheckpoint(
        _ element: AttackCase,
        _ known: Trusted,
        _ leaves: VerifiedLeaves,
        _ dev: Bool
    ) -> VerificationResult {
        let judge = CheckpointJudge(
            origin: known.origin,
            ledgerKeys: known.ledgerKeys,
            policy: known.policy,
            dev: dev
        )
        switch judge.judge(note: element.bytes, localNow: nil) {
        case .failure(let result):
            return result
        case .success(let judged):
            return judged.compared(trustedSize: element.trusted) { leaves.roots[$0] }
        }
    }

    private func judgeEntries(_ element: AttackCase, _ checkpoint: Checkpoint) -> VerificationResult {
        guard let leaves = EntryBundle.decode(element.bytes) else { return .entriesMismatch }
        var verifier = LogVerifier()
        verifier.append(leaves)
        return (try? verifier.verified(against: checkpoint)) == nil ? .entriesMismatch : .ok
    }

    private func judgeEvidence(_ element: AttackCase, _ known: Trusted) -> VerificationResult {
        guard let evidence = try? ForkEvidence(parsing: element.bytes) else { return .evidenceInvalid }
        return evidence.verify(keyChain: known.keyChain)
    }
}
