import HashTreeCollections

/// The only ways to change a row. Each keeps the indexes in step and marks the row as changed; none checks a rule.
extension ContractState {
    mutating func set(lane: LaneKey, to sequence: Int64) {
        tables.lanes[lane] = sequence
        touch(.lane(lane))
    }

    mutating func set(twin id: Identifier, to twin: Twin) {
        tables.twins[id] = Boxed(twin)
        indexes.learn(twin.keys.owner.keys)
        indexes.learn(twin.keys.operators)
        touch(.twin(id))
    }

    mutating func set(delegate key: KeyID, of twin: Identifier, to delegation: Delegation?) {
        let event = DeadlineEvent.delegate(twin, key)
        if let old = tables.delegates[twin]?[key]?.value { indexes.deadlines.cancel(event, at: old.notAfter) }
        if let delegation {
            tables.delegates[twin, default: [:]][key] = Boxed(delegation)
            indexes.deadlines.schedule(event, at: delegation.notAfter)
            indexes.keyring[key] = delegation.key
        } else {
            tables.delegates[twin]?[key] = nil
            if tables.delegates[twin]?.isEmpty == true { tables.delegates[twin] = nil }
        }
        touch(.delegate(twin, key))
    }

    mutating func set(farm id: Identifier, to farm: Farm) {
        if let old = tables.farms[id] { indexes.farmNames[old.name] = nil }
        tables.farms[id] = farm
        indexes.farmNames[farm.name] = id
        touch(.farm(id))
    }

    mutating func set(node id: Identifier, to node: Node) {
        if case .live(let old)? = tables.nodes[id]?.value { indexes.nodesByName.remove(id, at: old.name) }
        tables.nodes[id] = Boxed(node)
        if case .live(let row) = node { indexes.nodesByName.insert(id, at: row.name) }
        touch(.node(id))
    }

    mutating func set(name id: Identifier, to row: NameRow?) {
        if let old = tables.names[id] {
            indexes.names[old.name] = nil
            indexes.nameCounts.add(-1, to: old.owner)
        }
        tables.names[id] = row
        if let row {
            indexes.names[row.name] = id
            indexes.nameCounts.add(1, to: row.owner)
        }
        touch(.name(id))
    }

    mutating func set(usage row: UsageRow?, contract: Identifier, node: Identifier) {
        if let row {
            tables.usages[contract, default: [:]][node] = row
        } else {
            tables.usages[contract]?[node] = nil
            if tables.usages[contract]?.isEmpty == true { tables.usages[contract] = nil }
        }
        touch(.usage(contract, node))
    }

    mutating func set(bill row: BillRow?, contract: Identifier) {
        tables.bills[contract] = row
        touch(.bill(contract))
    }

    mutating func set(attestation row: Attestation, of twin: Identifier) {
        tables.attestations[twin] = row
        touch(.attest(twin))
    }

    mutating func set(evidence digest: Digest, to row: EvidenceRow) {
        tables.evidence[digest] = row
        touch(.evidence(digest))
    }
}

// MARK: Contracts and their status rows

extension ContractState {
    /// Replaces a contract row, and some of its status rows with it; a nil status removes the row.
    mutating func set(
        contract id: Identifier,
        to row: ContractRow?,
        statuses: [(node: Identifier, row: StatusRow?)] = []
    ) {
        unindex(contract: id)
        tables.contracts[id] = row.map(Boxed.init)
        touch(.contract(id))
        for status in statuses { write(status.row, contract: id, node: status.node) }
        index(contract: id)
    }

    /// Replaces or removes one status row.
    mutating func set(status row: StatusRow?, contract: Identifier, node: Identifier) {
        let old = tables.contracts[contract]?.value
        if let old, let spec = old.spec { releaseLeases(of: contract, old, spec, at: node) }
        write(row, contract: contract, node: node)
        if let old, let spec = old.spec { holdLeases(of: contract, old, spec, at: node) }
    }

    private mutating func write(_ row: StatusRow?, contract: Identifier, node: Identifier) {
        if let row {
            tables.statuses[contract, default: [:]][node] = row
            indexes.statusesByNode.insert(contract, at: node)
        } else {
            tables.statuses[contract]?[node] = nil
            if tables.statuses[contract]?.isEmpty == true { tables.statuses[contract] = nil }
            indexes.statusesByNode.remove(contract, at: node)
        }
        touch(.status(contract, node))
    }

    /// Removes from the indexes whatever a contract row put there.
    private mutating func unindex(contract id: Identifier) {
        guard let row = tables.contracts[id]?.value else { return }
        if let deadline = deadline(of: id, row) { indexes.deadlines.cancel(deadline.event, at: deadline.time) }
        guard let spec = row.spec else { return }
        indexes.contractCounts.add(-1, to: row.owner)
        for name in spec.nameContracts ?? [] { indexes.nameUses.add(-1, to: name) }
        for node in spec.gateways {
            indexes.contractsByNode.remove(id, at: node)
            releaseLeases(of: id, row, spec, at: node)
        }
    }

    private mutating func index(contract id: Identifier) {
        guard let row = tables.contracts[id]?.value else { return }
        if let deadline = deadline(of: id, row) { indexes.deadlines.schedule(deadline.event, at: deadline.time) }
        guard let spec = row.spec else { return }
        indexes.contractCounts.add(1, to: row.owner)
        for name in spec.nameContracts ?? [] { indexes.nameUses.add(1, to: name) }
        for node in spec.gateways {
            indexes.contractsByNode.insert(id, at: node)
            holdLeases(of: id, row, spec, at: node)
        }
    }

    /// When the contract changes by itself, and how.
    private func deadline(of id: Identifier, _ row: ContractRow) -> (event: DeadlineEvent, time: Timestamp)? {
        guard let limits = meta?.limits else { return nil }
        switch row.phase {
        case .created(let spec): return (.contract(id), spec.notAfter)
        case .grace(let spec, let since): return (.contract(id), min(since + limits.grace, spec.notAfter))
        case .deleted(_, let time): return (.purge(id), time + limits.purge)
        }
    }
}

// MARK: Leases

extension ContractState {
    /// Whether a contract has given up its ranges at a node: its current version is rejected there.
    func isRejected(_ id: Identifier, _ row: ContractRow, at node: Identifier) -> Bool {
        guard let status = tables.statuses[id]?[node] else { return false }
        return status.state == .rejected && status.version == row.version
    }

    private mutating func releaseLeases(
        of id: Identifier,
        _ row: ContractRow,
        _ spec: ContractSpec,
        at node: Identifier
    ) {
        guard spec.leasesPorts, spec.gateways.contains(node), !isRejected(id, row, at: node) else { return }
        for expose in spec.expose {
            for range in expose.ports ?? [] { indexes.leases.release(range, expose.kind, at: node, for: id) }
        }
    }

    private mutating func holdLeases(
        of id: Identifier,
        _ row: ContractRow,
        _ spec: ContractSpec,
        at node: Identifier
    ) {
        // The leases of a retired node end, and it never comes back.
        guard spec.leasesPorts, spec.gateways.contains(node), !isRejected(id, row, at: node),
            tables.nodes[node]?.value.isLive == true
        else { return }
        for expose in spec.expose {
            for range in expose.ports ?? [] { indexes.leases.hold(range, expose.kind, at: node, for: id) }
        }
    }
}

extension ContractSpec {
    /// Whether some expose has ports.
    var leasesPorts: Bool { expose.contains { $0.kind.usesPorts } }
}

// MARK: Rows of the ledger

extension ContractState {
    mutating func set(ledger rows: LedgerRows, changed keys: RowKey...) {
        tables.ledger = rows
        indexes.learn(rows.root.quorum.keys)
        indexes.learn(rows.keys.publicKeys)
        for key in keys { touch(key) }
    }
}
