import HashTreeCollections

/// The rows of the state as typed values. Each table is a persistent map, so a copy is cheap.
struct StateTables: Sendable {
    typealias Table<Row> = TreeDictionary<Identifier, Row>

    var ledger: LedgerRows?
    var twins: Table<Boxed<Twin>> = [:]
    var lanes: TreeDictionary<LaneKey, Int64> = [:]
    /// By twin, then by key id.
    var delegates: Table<Table<Boxed<Delegation>>> = [:]
    var farms: Table<Farm> = [:]
    var nodes: Table<Boxed<Node>> = [:]
    var names: Table<NameRow> = [:]
    var contracts: Table<Boxed<ContractRow>> = [:]
    /// By contract, then by node.
    var statuses: Table<Table<StatusRow>> = [:]
    /// By contract, then by node.
    var usages: Table<Table<UsageRow>> = [:]
    var bills: Table<BillRow> = [:]
    var attestations: Table<Attestation> = [:]
    var evidence: Table<EvidenceRow> = [:]

    /// The row as it stands in the state; nil when there is none.
    func value(of key: RowKey) -> JSONValue? {
        switch key {
        case .meta: ledger?.meta.json
        case .time: ledger?.clock.json
        case .root: ledger?.root.json
        case .keys: ledger?.keys.json
        case .policy: ledger?.policy.json
        case .upgrade: ledger?.upgrade?.json
        case .twin(let id): twins[id]?.value.json
        case .lane(let lane): lanes[lane].map { .object(["seq": .integer($0)]) }
        case .delegate(let twin, let key): delegates[twin]?[key]?.value.json
        case .farm(let id): farms[id]?.json
        case .node(let id): nodes[id]?.value.json
        case .name(let id): names[id]?.json
        case .contract(let id): contracts[id]?.value.json
        case .status(let contract, let node): statuses[contract]?[node]?.json
        case .usage(let contract, let node): (usages[contract]?[node]?.members).map(JSONValue.object)
        case .bill(let contract): (bills[contract]?.members).map(JSONValue.object)
        case .attest(let twin): attestations[twin]?.json
        case .evidence(let digest): evidence[digest]?.json
        }
    }

    /// The key of each row, ascending.
    var keys: [RowKey] {
        var keys: [RowKey] = []
        func add(_ ids: some Sequence<Identifier>, _ key: (Identifier) -> RowKey) {
            for id in ids.sorted() { keys.append(key(id)) }
        }
        func add<Row>(_ tables: Table<Table<Row>>, _ key: (Identifier, Identifier) -> RowKey) {
            for id in tables.keys.sorted() { add(tables[id]?.keys.sorted() ?? []) { key(id, $0) } }
        }
        add(attestations.keys, RowKey.attest)
        add(bills.keys, RowKey.bill)
        add(contracts.keys, RowKey.contract)
        add(delegates, RowKey.delegate)
        add(evidence.keys, RowKey.evidence)
        add(farms.keys, RowKey.farm)
        for lane in lanes.keys.sorted() { keys.append(.lane(lane)) }
        if let ledger {
            keys += [.keys, .meta, .policy, .root, .time]
            if ledger.upgrade != nil { keys.append(.upgrade) }
        }
        add(names.keys, RowKey.name)
        add(nodes.keys, RowKey.node)
        add(statuses, RowKey.status)
        add(twins.keys, RowKey.twin)
        add(usages, RowKey.usage)
        return keys
    }
}
