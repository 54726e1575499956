import HashTreeCollections

/// Rules of farm.create, farm.update, node.register, node.update and node.retire.
extension ContractState {
    mutating func createFarm(_ body: FarmCreateBody, by account: Identifier, id: Identifier) throws(Code) {
        guard indexes.farmNames[body.name] == nil else { throw .farmNameTaken }
        set(farm: id, to: Farm(contact: body.contact, name: body.name, owner: account, version: 1))
    }

    mutating func updateFarm(_ body: FarmUpdateBody, by account: Identifier) throws(Code) {
        guard let farm = farm(body.farm) else { throw .farmUnknown }
        guard farm.owner == account else { throw .farmForbidden }
        guard body.version == farm.version + 1 else { throw .versionMismatch }
        let holder = indexes.farmNames[body.name]
        guard holder == nil || holder == body.farm else { throw .farmNameTaken }
        set(farm: body.farm, to: Farm(contact: body.contact, name: body.name, owner: account, version: body.version))
    }

    mutating func registerNode(_ body: NodeRegisterBody, by account: Identifier, id: Identifier) throws(Code) {
        guard let farm = farm(body.farm) else { throw .farmUnknown }
        guard farm.owner == account else { throw .farmForbidden }
        guard tables.twins[body.twin] != nil else { throw .twinUnknown }
        let row = NodeRow(details: body.details, farm: body.farm, name: body.name, twin: body.twin, version: 1)
        set(node: id, to: .live(row))
    }

    mutating func updateNode(_ body: NodeUpdateBody, by account: Identifier) throws(Code) {
        guard let node = node(body.node) else { throw .nodeUnknown }
        guard case .live(var row) = node else { throw .nodeRetired }
        guard row.twin == account else { throw .nodeForbidden }
        guard body.version == row.version + 1 else { throw .versionMismatch }
        row.details = body.details
        row.version = body.version
        set(node: body.node, to: .live(row))
    }

    mutating func retireNode(_ body: NodeRetireBody, by account: Identifier) throws(Code) {
        guard let node = node(body.node) else { throw .nodeUnknown }
        guard case .live(let row) = node else { throw .nodeRetired }
        guard row.twin == account || farm(row.farm)?.owner == account else { throw .nodeForbidden }
        let retired = RetiredNode(farm: row.farm, retired: now, twin: row.twin, version: row.version)
        set(node: body.node, to: .retired(retired))
        // Each live contract of the node has a status row there, so this ends all of its leases too.
        for contract in contractsWithStatus(node: body.node) {
            set(status: nil, contract: contract, node: body.node)
        }
    }
}
