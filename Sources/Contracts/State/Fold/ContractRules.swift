import HashTreeCollections

/// Rules of contract.create, contract.update and contract.cancel.
extension ContractState {
    mutating func createContract(_ body: ContractCreateBody, by account: Identifier, id: Identifier) throws(Code) {
        try checkTerms(of: body.spec, account: account)
        let limit = meta?.limits.contracts ?? 0
        guard indexes.contractCounts[account, default: 0] < limit else { throw .quotaExceeded }
        let row = ContractRow(
            created: now,
            index: Int64(clamping: size),
            owner: account,
            phase: .created(body.spec),
            version: 1
        )
        let pending = StatusRow.pending(time: now, version: 1)
        set(contract: id, to: row, statuses: body.spec.gateways.map { ($0, pending) })
    }

    mutating func updateContract(_ body: ContractUpdateBody, by account: Identifier) throws(Code) {
        guard var row = contract(body.contract) else { throw .contractUnknown }
        guard row.owner == account else { throw .contractForbidden }
        guard let previous = row.spec else { throw .contractDeleted }
        let spec = body.spec
        guard !row.isInGrace || spec.isAllowedInGrace(after: previous) else { throw .contractGrace }
        guard spec.version == row.version + 1 else { throw .versionMismatch }
        try checkTerms(of: spec, account: account, updating: body.contract, from: previous)
        switch row.phase {
        case .created, .deleted: row.phase = .created(spec)
        case .grace(_, let since): row.phase = .grace(spec, since: since)
        }
        row.version = spec.version
        let pending = StatusRow.pending(time: now, version: spec.version)
        var statuses: [(node: Identifier, row: StatusRow?)] = []
        for gateway in spec.gateways where !previous.gateways.contains(gateway) {
            // A suspension cannot be shaken off by leaving the gateway for a while.
            guard status(contract: body.contract, node: gateway)?.state != .suspended else { continue }
            statuses.append((gateway, pending))
        }
        set(contract: body.contract, to: row, statuses: statuses)
    }

    mutating func cancelContract(_ body: ContractCancelBody, by account: Identifier) throws(Code) {
        let isCollective = account == ledgerID
        guard let row = contract(body.contract) else { throw .contractUnknown }
        guard isCollective || row.owner == account else { throw .contractForbidden }
        guard row.isLive else { throw .contractDeleted }
        delete(body.contract, row, isCollective ? .canceledByCollective : .canceledByUser)
    }

    mutating func delete(_ id: Identifier, _ row: ContractRow, _ cause: DeletionCause) {
        var row = row
        row.phase = .deleted(cause, at: now)
        set(contract: id, to: row)
    }
}

extension ContractSpec {
    /// While a contract is unfunded its terms may only give up gateways and change what visitors cannot see.
    fileprivate func isAllowedInGrace(after previous: ContractSpec) -> Bool {
        conn == previous.conn && expose == previous.expose && limits == previous.limits
            && notBefore == previous.notBefore && notAfter == previous.notAfter
            && gateways.allSatisfy(previous.gateways.contains)
    }
}
