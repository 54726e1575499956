import HashTreeCollections

/// Rules of name.create, name.release and name.transfer.
extension ContractState {
    mutating func createName(_ body: NameCreateBody, by account: Identifier, id: Identifier) throws(Code) {
        guard let meta, !meta.reserved.contains(body.name) else { throw .nameReserved }
        guard indexes.names[body.name] == nil else { throw .nameTaken }
        guard indexes.nameCounts[account, default: 0] < meta.limits.names else { throw .quotaExceeded }
        set(name: id, to: NameRow(created: now, name: body.name, owner: account))
    }

    mutating func releaseName(_ body: NameReleaseBody, by account: Identifier) throws(Code) {
        _ = try ownName(body.name, of: account)
        guard !isInUse(name: body.name) else { throw .nameInUse }
        set(name: body.name, to: nil)
    }

    mutating func transferName(_ body: NameTransferBody, by account: Identifier) throws(Code) {
        var row = try ownName(body.name, of: account)
        guard tables.twins[body.to] != nil else { throw .twinUnknown }
        guard !isInUse(name: body.name) else { throw .nameInUse }
        guard let meta, indexes.nameCounts[body.to, default: 0] < meta.limits.names else { throw .quotaExceeded }
        row.owner = body.to
        set(name: body.name, to: row)
    }

    private func ownName(_ id: Identifier, of account: Identifier) throws(Code) -> NameRow {
        guard let row = name(id) else { throw .nameUnknown }
        guard row.owner == account else { throw .nameForbidden }
        return row
    }

    private func isInUse(name: Identifier) -> Bool { indexes.nameUses[name] != nil }
}
