internal import Contracts
internal import Logging

/// Step 4 for a node that knows only witnesses of the past: it starts from genesis, or comes back, after the ledger
/// changed its policy and the old witnesses ceased to cosign.
extension LedgerFollower {
    /// Most policies that are passed on the way to one checkpoint.
    private static let mostStones = 64

    /// Steps 3 and 4 by the rules of the trusted size, after the node was brought to a size whose policy the checkpoint
    /// meets.
    ///
    /// The entry that changed the policy is in a receipt, and its checkpoint is cosigned by a quorum of the old policy and
    /// of the new one (protocol.md 11). That one is judged and followed like any other; then the next policy is the
    /// trusted one. Where the receipts are is only a hint, so nothing is believed that step 4 does not allow.
    func judgeByStones(
        _ checkpoint: Checkpoint,
        _ known: Rules,
        _ source: LedgerClient.Source
    ) async throws -> (rules: Rules, quorumTime: Timestamp) {
        var known = known
        for _ in 0..<Self.mostStones {
            let refusal: LedgerRefusal
            do {
                return try await judge(checkpoint, known, source)
            } catch let failed as LedgerRefusal where failed.code == VerificationResult.checkpointQuorum.rawValue {
                refusal = failed
            }
            guard !source.role.isObserver, checkpoint.size > position.size else { throw refusal }
            switch try await stone(before: checkpoint, known, source) {
            case .none: throw refusal
            case .missing:
                throw LedgerRefusal(
                    .checkpointQuorum,
                    source: source,
                    "the witnesses known here no longer cosign: the ledger has changed its policy since, and this source "
                        + "does not give the receipt that leads to the new one; name the ledger itself first, not a "
                        + "mirror, or start an empty --state with --snapshot"
                )
            case .found(let stone):
                let (rules, quorumTime) = try await judge(stone, known, source)
                try await advance(to: stone, quorumTime, rules, source)
                logger.info("passed a change of the policy", metadata: ["size": "\(stone.size)"])
                known = try await self.rules(checkpoint, source)
            }
        }
        throw LedgerRefusal(
            .checkpointQuorum,
            source: source,
            "the ledger changed its policy more than \(Self.mostStones) times"
        )
    }

    private enum Stone {
        /// The source shows no change of the policy.
        case none
        /// It shows one, and no checkpoint that leads there.
        case missing
        case found(Checkpoint)
    }

    /// The first checkpoint beyond the next change of the policy, not judged.
    private func stone(
        before checkpoint: Checkpoint,
        _ known: Rules,
        _ source: LedgerClient.Source
    ) async throws -> Stone {
        // A pinned checkpoint may lie beyond it, and is judged by the first policy too.
        guard startCondition == nil, let id = try await nextPolicy(after: known, source) else { return .none }
        do throws(LedgerClientError) {
            let hint = try await client.resource("/tx/\(id.hex)", from: source, limit: client.limits.answerBytes)
            guard let members = (try? JSONValue(document: hint))?.asObject, let index = members["index"]?.asInteger,
                index >= 0
            else { return .missing }
            let path = "/receipts/\(index).tlog-proof"
            let bytes = try await client.resource(path, from: source, limit: client.limits.answerBytes)
            guard let receipt = try? Receipt(parsing: bytes), receipt.checkpoint.size > position.size,
                receipt.checkpoint.size <= checkpoint.size
            else { return .missing }
            return .found(receipt.checkpoint)
        } catch {
            logger.debug("no receipt of a policy", metadata: ["source": "\(source)", "reason": "\(error.message)"])
            return .missing
        }
    }

    /// The id of the next entry of the key chain that sets another policy; nil when the source shows none.
    private func nextPolicy(after known: Rules, _ source: LedgerClient.Source) async throws -> Identifier? {
        guard var chain = trustedState else { return nil }
        let next = position.keyset + 1
        for number in next..<(next + UInt64(Self.mostAhead)) {
            guard let leaf = try? await client.keyset(number, from: source) else { return nil }
            do throws(Code) { try chain.extendKeyChain(leaf) } catch { return nil }
            guard chain.policyText != known.policy.text else { continue }
            return (try? Envelope(leaf: leaf))?.id
        }
        return nil
    }
}
