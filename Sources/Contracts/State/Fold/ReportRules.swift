import HashTreeCollections

/// Rules of contract.report, usage.report and bill.settle.
extension ContractState {
    mutating func report(_ body: ContractReportBody, by account: Identifier) throws(Code) {
        guard let node = tables.nodes[body.node] else { throw .nodeUnknown }
        guard node.value.isLive else { throw .nodeRetired }
        guard node.value.twin == account else { throw .nodeForbidden }
        guard let contract = tables.contracts[body.contract]?.value else { throw .contractUnknown }
        guard let old = status(contract: body.contract, node: body.node) else { throw .reportStranger }
        let isParty = contract.spec?.gateways.contains(body.node) ?? false
        guard (body.state == .removed) != isParty else { throw .reportState }
        guard body.version == contract.version else { throw .versionMismatch }
        guard
            body.code != old.code || body.conflict != old.conflict || body.state != old.state
                || body.version != old.version
        else { throw .reportUnchanged }
        if let spec = contract.spec, isRejected(body.contract, contract, at: body.node),
            body.state != .rejected, body.state != .removed
        {
            try checkPortsFree(for: body.contract, spec, at: body.node)
        }
        let row = StatusRow(
            code: body.code,
            conflict: body.conflict,
            message: body.message,
            state: body.state,
            time: now,
            version: body.version
        )
        set(status: body.state == .removed ? nil : row, contract: body.contract, node: body.node)
    }

    /// A gateway that takes a contract back needs its ranges again; another contract may hold them by now.
    private func checkPortsFree(for id: Identifier, _ spec: ContractSpec, at node: Identifier) throws(Code) {
        for expose in spec.expose where expose.kind.usesPorts {
            for range in expose.ports ?? [] {
                guard !indexes.leases.isTaken(range, expose.kind, at: node, except: id) else { throw .portTaken }
            }
        }
    }

    mutating func reportUsage(_ body: UsageReportBody, by account: Identifier) throws(Code) {
        guard let node = tables.nodes[body.node] else { throw .nodeUnknown }
        guard node.value.twin == account else { throw .nodeForbidden }
        guard tables.contracts[body.contract] != nil else { throw .contractUnknown }
        let old = usage(contract: body.contract, node: body.node)
        guard old != nil || status(contract: body.contract, node: body.node) != nil else { throw .reportStranger }
        let new = body.usage
        guard new.until <= now else { throw .usageTime }
        if let old {
            guard new.until > old.until else { throw .usageTime }
            guard new.bytesIn >= old.bytesIn, new.bytesOut >= old.bytesOut, new.conns >= old.conns else {
                throw .usageDecrease
            }
        }
        set(usage: new, contract: body.contract, node: body.node)
    }

    mutating func settle(_ body: BillSettleBody, by account: Identifier) throws(Code) {
        guard billing.contains(account) else { throw .billingForbidden }
        guard var row = contract(body.contract) else { throw .contractUnknown }
        let new = body.bill
        let old = bill(contract: body.contract)
        guard new.period == (old?.period ?? 0) + 1, new.from >= old?.to ?? 0, new.to <= now else {
            throw .billPeriod
        }
        set(bill: new, contract: body.contract)
        switch row.phase {
        case .created(let spec) where !new.funded: row.phase = .grace(spec, since: now)
        case .grace(let spec, _) where new.funded: row.phase = .created(spec)
        default: return
        }
        set(contract: body.contract, to: row)
    }
}
