import HashTreeCollections

extension ContractState {
    /// The twin with this id.
    public func twin(_ id: Identifier) -> Twin? { tables.twins[id]?.value }

    /// The node with this id, live or retired.
    public func node(_ id: Identifier) -> Node? { tables.nodes[id]?.value }

    /// The farm with this id.
    public func farm(_ id: Identifier) -> Farm? { tables.farms[id] }

    /// The live name with this id.
    public func name(_ id: Identifier) -> NameRow? { tables.names[id] }

    /// The contract with this id, live or deleted; nil also after its purge.
    public func contract(_ id: Identifier) -> ContractRow? { tables.contracts[id]?.value }

    /// What the node last reported about the contract.
    public func status(contract: Identifier, node: Identifier) -> StatusRow? { tables.statuses[contract]?[node] }

    /// The totals that the node last reported for the contract.
    public func usage(contract: Identifier, node: Identifier) -> UsageRow? { tables.usages[contract]?[node] }

    /// The last settled period of the contract.
    public func bill(contract: Identifier) -> BillRow? { tables.bills[contract] }

    /// What the auditor last attested.
    public func attestation(of twin: Identifier) -> Attestation? { tables.attestations[twin] }

    /// The record of a fork whose evidence file has this digest.
    public func evidence(_ digest: Digest) -> EvidenceRow? { tables.evidence[digest] }

    /// What the key may do for the twin.
    public func delegation(twin: Identifier, key: KeyID) -> Delegation? { tables.delegates[twin]?[key]?.value }

    /// The last consumed sequence number of a key in an account, 0 if it consumed none.
    public func lane(account: Identifier, key: KeyID) -> Int64 {
        tables.lanes[LaneKey(account: account, key: key)] ?? 0
    }

    /// A key that the state knows or knew, for verdicts ahead of the fold.
    public func publicKey(_ id: KeyID) -> PublicKey? { indexes.keyring[id] }

    /// All twins, ascending by id. This and the lists below copy and sort a whole table at each call.
    public var twins: [(Identifier, Twin)] { Self.sorted(tables.twins) { $0.value } }

    /// All nodes, retired ones too, ascending by id.
    public var nodes: [(Identifier, Node)] { Self.sorted(tables.nodes) { $0.value } }

    /// All farms, ascending by id.
    public var farms: [(Identifier, Farm)] { Self.sorted(tables.farms) { $0 } }

    /// All live names, ascending by id.
    public var names: [(Identifier, NameRow)] { Self.sorted(tables.names) { $0 } }

    /// All contracts that are not purged, ascending by id.
    public var contracts: [(Identifier, ContractRow)] { Self.sorted(tables.contracts) { $0.value } }

    /// The status rows of a contract, ascending by node.
    public func statuses(contract: Identifier) -> [(Identifier, StatusRow)] {
        Self.sorted(tables.statuses[contract] ?? [:]) { $0 }
    }

    /// The usage rows of a contract, ascending by node.
    public func usages(contract: Identifier) -> [(Identifier, UsageRow)] {
        Self.sorted(tables.usages[contract] ?? [:]) { $0 }
    }

    /// The delegations of a twin, ascending by key id.
    public func delegations(twin: Identifier) -> [(KeyID, Delegation)] {
        Self.sorted(tables.delegates[twin] ?? [:]) { $0.value }
    }

    /// Live contracts that name the node among their gateways, ascending by id.
    public func contracts(node: Identifier) -> [Identifier] { indexes.contractsByNode[node]?.sorted() ?? [] }

    /// Contracts, deleted ones too, that have a status row at the node, ascending by id.
    public func contractsWithStatus(node: Identifier) -> [Identifier] { indexes.statusesByNode[node]?.sorted() ?? [] }

    /// The live name of this text.
    public func name(named text: String) -> (Identifier, NameRow)? {
        guard let id = indexes.names[text], let row = tables.names[id] else { return nil }
        return (id, row)
    }

    /// The farm of this name.
    public func farm(named text: String) -> (Identifier, Farm)? {
        guard let id = indexes.farmNames[text], let row = tables.farms[id] else { return nil }
        return (id, row)
    }

    /// Live nodes of this name, ascending by id; node names are not unique.
    public func node(named text: String) -> [Identifier] { indexes.nodesByName[text]?.sorted() ?? [] }

    private static func sorted<Stored, Row>(
        _ table: TreeDictionary<Identifier, Stored>,
        _ row: (Stored) -> Row
    ) -> [(Identifier, Row)] {
        table.map { ($0.key, row($0.value)) }.sorted { $0.0 < $1.0 }
    }
}
