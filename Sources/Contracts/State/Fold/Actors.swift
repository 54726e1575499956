import HashTreeCollections

/// Step 5: who acts, and whether that key may (section 3.3).
extension ContractState {
    /// The key of the entry's signer, when it may sign entries of this type for this account.
    func actorKey(of entry: Entry) throws(Code) -> PublicKey {
        switch entry.type.actor {
        case .itself:
            return try ownKey(of: entry)
        case .ledger:
            guard let account = entry.account, account == ledgerID else { throw .accountUnknown }
            guard let key = tables.ledger?.keys.publicKeys[entry.signer] else { throw .signerUnknown }
            return key
        case .root:
            return try rootKey(of: entry)
        case .owner, .anyOperator:
            if entry.isRootCancel(of: ledgerID) { return try rootKey(of: entry) }
            return try twinKey(of: entry)
        }
    }

    /// The signer among the keys that the entry itself brings.
    private func ownKey(of entry: Entry) throws(Code) -> PublicKey {
        let key: PublicKey? =
            switch entry.body {
            case .genesis(let body): body.root.keys[entry.signer]
            case .twinCreate(let body): body.keys.owner.keys[entry.signer]
            default: nil
            }
        guard let key else { throw .signerUnknown }
        return key
    }

    private func rootKey(of entry: Entry) throws(Code) -> PublicKey {
        guard let account = entry.account, account == ledgerID else { throw .accountUnknown }
        guard let key = root?.keys[entry.signer] else { throw .signerUnknown }
        return key
    }

    private func twinKey(of entry: Entry) throws(Code) -> PublicKey {
        guard let account = entry.account, let twin = tables.twins[account] else { throw .accountUnknown }
        if let key = twin.value.keys.owner.keys[entry.signer] { return key }
        if let key = twin.value.keys.operators[entry.signer] {
            guard entry.type.actor == .anyOperator else { throw .signerForbidden }
            return key
        }
        guard let delegation = delegation(twin: account, key: entry.signer) else { throw .signerUnknown }
        guard delegation.allows(entry.body) else { throw .signerForbidden }
        return delegation.key
    }
}

extension Entry {
    /// Whether root keys cancel a contract for the ledger.
    func isRootCancel(of ledger: Identifier?) -> Bool {
        type == .contractCancel && account != nil && account == ledger
    }
}

extension Delegation {
    /// Whether the delegated key may sign this body.
    func allows(_ body: EntryBody) -> Bool {
        switch body {
        case .contractCreate(let body):
            types.contains(.contractCreate) && allows(names: body.spec.nameContracts ?? [])
        case .contractUpdate(let body):
            types.contains(.contractUpdate) && allows(contract: body.contract)
                && allows(names: body.spec.nameContracts ?? [])
        case .contractCancel(let body):
            types.contains(.contractCancel) && allows(contract: body.contract)
        case .nameCreate:
            types.contains(.nameCreate)
        case .nameRelease(let body):
            types.contains(.nameRelease) && allows(names: [body.name])
        default:
            false
        }
    }

    private func allows(contract: Identifier) -> Bool { contracts?.contains(contract) ?? true }

    private func allows(names used: [Identifier]) -> Bool {
        guard let names else { return true }
        return used.allSatisfy(names.contains)
    }
}
