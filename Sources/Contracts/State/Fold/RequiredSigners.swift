/// Steps 6 and 7: who must sign, and whether they did (section 3.3).
extension ContractState {
    func checkSignatures(of entry: Entry, signer: PublicKey, _ verdicts: SignatureVerdicts) throws(Code) {
        let keys = try signingKeys(of: entry, signer: signer)
        var message: [UInt8]?
        for (key, signature) in zip(keys, entry.envelope.signatures) {
            if let verdict = verdicts[signature.keyID] {
                guard verdict else { throw .signatureInvalid }
                continue
            }
            let bytes = message ?? entry.signedMessage
            message = bytes
            guard key.isValid(signature: signature.signature, for: bytes) else { throw .signatureInvalid }
        }
    }

    /// The key of each signature of the envelope, in order, once the requirement of the type is met exactly.
    private func signingKeys(of entry: Entry, signer: PublicKey) throws(Code) -> [PublicKey] {
        let signers = entry.envelope.signatures.map(\.keyID)
        switch entry.body {
        case .rootRotate(let body):
            guard let root else { throw .genesisRequired }
            let rotation = Rotation(
                old: root,
                new: body.root,
                current: { root.keys[$0] },
                announced: body.root.keys.ids
            )
            return try rotation.signingKeys(signers, signer: entry.signer)
        case .twinKeys(let body):
            guard let account = entry.account, let twin = twin(account) else { throw .accountUnknown }
            let rotation = Rotation(
                old: twin.keys.owner,
                new: body.keys.owner,
                current: { twin.keys[$0] },
                announced: body.keys.owner.keys.ids + body.keys.operators.ids,
                operators: body.keys.operators
            )
            return try rotation.signingKeys(signers, signer: entry.signer)
        default:
            var match = try SignerMatch(signers, signer: entry.signer)
            try takeGroups(of: entry, signer: signer, &match)
            return try match.finish()
        }
    }

    private func takeGroups(of entry: Entry, signer: PublicKey, _ match: inout SignerMatch) throws(Code) {
        switch entry.body {
        case .genesis(let body):
            try match.take(body.root.threshold) { body.root.keys[$0] }
        case .twinCreate(let body):
            let count = Int64(body.keys.owner.keys.count + body.keys.operators.count)
            try match.take(count) { body.keys[$0] }
        case .tick:
            try match.take(1) { tables.ledger?.keys.publicKeys[$0] }
        case .policySet, .protocolUpgrade:
            try takeRoot(&match)
        case .ledgerKeys(let body):
            try takeRoot(&match)
            let current = tables.ledger?.keys.publicKeys.keys ?? []
            let added = KeySet(body.keys.map(\.key).filter { !current.contains($0) })
            try match.take(Int64(added.count)) { added[$0] }
        case .contractCancel where entry.isRootCancel(of: ledgerID):
            try takeRoot(&match)
        default:
            try takeTwins(of: entry, signer: signer, &match)
        }
    }

    private func takeRoot(_ match: inout SignerMatch) throws(Code) {
        guard let root else { throw .genesisRequired }
        try match.take(root.threshold) { root.keys[$0] }
    }

    /// The account's keys, then the keys of other twins that must agree.
    private func takeTwins(of entry: Entry, signer: PublicKey, _ match: inout SignerMatch) throws(Code) {
        guard let account = entry.account, let twin = twin(account) else { throw .accountUnknown }
        if entry.type.actor == .owner {
            try match.take(twin.keys.owner.threshold) { twin.keys.owner.keys[$0] }
        } else {
            try match.take(1) { $0 == entry.signer ? signer : nil }
        }
        switch entry.body {
        case .nodeRegister(let body):
            if body.twin != account { try takeAny(of: body.twin, &match) }
        case .nameTransfer(let body):
            try takeAny(of: body.to, &match)
        case .contractCreate(let body):
            try takeCosigners(of: body.spec, kept: { _ in false }, account: account, &match)
        case .contractUpdate(let body):
            let previous = contract(body.contract)?.spec
            try takeCosigners(
                of: body.spec,
                kept: { body.spec.keeps($0, of: previous) },
                account: account,
                &match
            )
        default:
            break
        }
    }

    /// One key of a twin, owner or operator; nothing when there is no such twin.
    private func takeAny(of id: Identifier, _ match: inout SignerMatch) throws(Code) {
        guard let twin = twin(id) else { return }
        try match.take(1) { twin.keys[$0] }
    }

    /// A key of the twin of each gateway that only accepts by signature, once for each twin.
    private func takeCosigners(
        of spec: ContractSpec,
        kept: (Identifier) -> Bool,
        account: Identifier,
        _ match: inout SignerMatch
    ) throws(Code) {
        var asked: [Identifier] = [account]
        for gateway in spec.gateways {
            guard let node = node(gateway)?.live, node.details.offer.accept == .cosign, !kept(gateway),
                !asked.contains(node.twin)
            else { continue }
            asked.append(node.twin)
            try takeAny(of: node.twin, &match)
        }
    }
}

extension ContractSpec {
    /// Whether a gateway of the previous terms of a live contract is kept: what it agreed to has not changed.
    func keeps(_ gateway: Identifier, of previous: ContractSpec?) -> Bool {
        guard let previous else { return false }
        return previous.gateways.contains(gateway) && conn == previous.conn && limits == previous.limits
            && expose == previous.expose
    }
}

/// The rule of root.rotate and twin.keys: old and new keys agree, and every added key proves that somebody holds it.
private struct Rotation {
    let old: Quorum
    let new: Quorum
    /// Whether a key belongs to the twin (or the root) now.
    let current: (KeyID) -> PublicKey?
    /// All keys that the body names.
    let announced: [KeyID]
    var operators = KeySet([])

    func signingKeys(_ signers: [KeyID], signer: KeyID) throws(Code) -> [PublicKey] {
        let added = announced.filter { current($0) == nil }
        guard signers.contains(signer), count(signers, in: old) >= old.threshold,
            count(signers, in: new) >= new.threshold, added.allSatisfy(signers.contains)
        else { throw .signatureMissing }
        var keys: [PublicKey] = []
        for id in signers {
            let addedOperator = added.contains(id) ? operators[id] : nil
            guard let key = old.keys[id] ?? new.keys[id] ?? addedOperator else { throw .signatureUnexpected }
            keys.append(key)
        }
        return keys
    }

    private func count(_ signers: [KeyID], in quorum: Quorum) -> Int64 {
        Int64(signers.count { quorum.keys.contains($0) })
    }
}
