internal import Contracts
internal import Logging

/// Step 3: keys that the ledger changed beyond the trusted size.
extension LedgerFollower {
    /// Most entries of the key chain that are read ahead of the log (protocol.md 10.2).
    static let mostAhead = 1024

    /// The rules by which a checkpoint of unknown keys may be judged, from `/keyset` of the source; nil if the chain
    /// that the source shows does not lead to a key that signed it.
    ///
    /// Each entry is judged on a copy of the trusted state, so the chain is as strong as the root keys; the policy stays
    /// that of the trusted size. Only a larger checkpoint can be confirmed later, so no other is looked at.
    func rulesAhead(
        of rules: Rules,
        _ checkpoint: Checkpoint,
        _ source: LedgerClient.Source
    ) async throws -> Rules? {
        guard checkpoint.size > position.size, var chain = trustedState else { return nil }
        var rules = rules
        let next = position.keyset + 1
        for number in next..<(next + UInt64(Self.mostAhead)) {
            let leaf: [UInt8]
            do throws(LedgerClientError) {
                leaf = try await client.keyset(number, from: source)
                try chain.extend(with: leaf, source: source, number)
            } catch {
                logger.debug(
                    "the key chain ends here",
                    metadata: ["source": "\(source)", "number": "\(number)", "reason": "\(error.message)"]
                )
                return nil
            }
            rules.ahead.append(MerkleTree.leafHash(leaf))
            rules.keys = chain.ledgerKeys
            if let lines = try? checkpoint.note.verified(by: rules.keys, check: check), !lines.isEmpty { return rules }
        }
        return nil
    }

    /// Whether the entries of the key chain that were believed ahead of the log stand in it, in their order.
    func confirm(_ rules: Rules, by fold: EntryFold, _ source: LedgerClient.Source) throws {
        guard fold.chain.starts(with: rules.ahead) else {
            throw LedgerRefusal(
                .checkpointSignature,
                source: source,
                "the change of ledger keys that its /keyset shows is not in its log"
            )
        }
    }
}

extension ContractState {
    fileprivate mutating func extend(
        with leaf: [UInt8],
        source: LedgerClient.Source,
        _ number: UInt64
    ) throws(LedgerClientError) {
        do throws(Code) {
            try extendKeyChain(leaf)
        } catch {
            let message = "\(source.url)/keyset/\(number) is no next entry of the key chain: \(error.rawValue)"
            throw LedgerClientError(.malformed, source: source.url, message: message)
        }
    }
}
