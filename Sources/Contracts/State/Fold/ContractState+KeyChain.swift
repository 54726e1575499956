/// The key chain ahead of the log: genesis, then every effective root.rotate, ledger.keys, policy.set and
/// protocol.upgrade (protocol.md 9 and 10.2 step 3).
extension ContractState {
    /// Applies what a leaf of the key chain says about keys, policy and versions, and nothing else.
    ///
    /// The leaf is judged by steps 1 to 7 of section 3.2 and by the version rule of its type. What depends on the rest of
    /// the log (sequence, expiry, twins, ledger time) is left to the fold, so the result is provisional: the caller
    /// does this to a copy of the state and keeps the copy apart.
    /// - Throws: the code of the first rule that is broken; `tx.unsupported` for a type that is not of the chain.
    public mutating func extendKeyChain(_ leaf: [UInt8]) throws(Code) {
        let entry: Entry
        switch ParsedEntry(leaf: leaf) {
        case .rejected(let code, _): throw code
        case .entry(let parsed): entry = parsed
        }
        try checkLedger(entry)
        switch entry.body {
        case .rootRotate, .ledgerKeys, .policySet, .protocolUpgrade: break
        default: throw .txUnsupported
        }
        let signer = try actorKey(of: entry)
        try checkSignatures(of: entry, signer: signer, SignatureVerdicts())
        switch entry.body {
        case .rootRotate(let body): try rotateRoot(body)
        case .ledgerKeys(let body): try setLedgerKeys(body)
        case .policySet(let body):
            guard var rows = tables.ledger, body.version == rows.policy.version + 1 else { throw .versionMismatch }
            rows.policy = body
            set(ledger: rows, changed: .policy)
        case .protocolUpgrade(let body):
            guard var rows = tables.ledger, body.version == (rows.upgrade?.version ?? 0) + 1 else {
                throw .versionMismatch
            }
            rows.upgrade = body
            set(ledger: rows, changed: .upgrade)
        default: throw .txUnsupported
        }
    }
}
