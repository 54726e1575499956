import HashTreeCollections

/// Rules of twin.create, twin.keys, twin.delegate and twin.undelegate.
extension ContractState {
    mutating func createTwin(_ body: TwinCreateBody, id: Identifier) {
        set(twin: id, to: Twin(created: now, keys: body.keys, version: 1))
    }

    mutating func setKeys(_ body: TwinKeysBody, of id: Identifier) throws(Code) {
        guard var twin = twin(id) else { throw .accountUnknown }
        guard body.version == twin.version + 1 else { throw .versionMismatch }
        if let delegates = tables.delegates[id] {
            let ids = body.keys.owner.keys.ids + body.keys.operators.ids
            guard ids.allSatisfy({ delegates[$0] == nil }) else { throw .delegateKey }
        }
        twin.keys = body.keys
        twin.version = body.version
        set(twin: id, to: twin)
    }

    mutating func delegate(_ body: Delegation, by account: Identifier) throws(Code) {
        guard let twin = twin(account) else { throw .accountUnknown }
        let key = body.key.keyID
        guard !twin.keys.contains(key) else { throw .delegateKey }
        guard body.notAfter > now else { throw .delegateWindow }
        let delegates = tables.delegates[account] ?? [:]
        guard delegates[key] != nil || delegates.count < 16 else { throw .quotaExceeded }
        set(delegate: key, of: account, to: body)
    }

    mutating func undelegate(_ body: TwinUndelegateBody, by account: Identifier) throws(Code) {
        guard delegation(twin: account, key: body.key) != nil else { throw .delegateUnknown }
        set(delegate: body.key, of: account, to: nil)
    }
}
