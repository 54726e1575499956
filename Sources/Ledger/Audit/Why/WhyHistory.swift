import Contracts

/// The effective entries of a log that a question may rest on, in log order.
struct WhyHistory {
    private let subject: WhySubject

    /// Times at which contracts were deleted: ticks of that time may have done it.
    private let deletions: Set<Timestamp>

    /// Contracts of which a version named the subject.
    private(set) var candidates: [Identifier] = []

    /// The last entry that put the subject into a candidate.
    private(set) var namings: [Identifier: EntrySummary] = [:]

    /// Gateways that a candidate named when it last named the subject.
    private(set) var gateways: [Identifier: [Identifier]] = [:]

    private var contracts: [Identifier: [(entry: EntrySummary, node: Identifier?)]] = [:]
    private var ticks: [Timestamp: EntrySummary] = [:]
    private var names: [String: [EntrySummary]] = [:]
    private var nameLabels: [Identifier: String] = [:]
    private var nodes: [Identifier: [EntrySummary]] = [:]

    init(_ subject: WhySubject, state: ContractState) {
        self.subject = subject
        deletions = Set(
            state.contracts.compactMap { _, row in
                if case .deleted(_, let time) = row.phase { return time }
                return nil
            }
        )
    }

    /// What a state alone tells: the live contracts that name the subject, in the order of their creation. No entries.
    init(unread subject: WhySubject, _ state: ContractState) {
        self.init(subject, state: state)
        let live = state.contracts.filter { $0.1.spec.map(subject.isNamed) == true }
        candidates = live.sorted { $0.1.index < $1.1.index }.map(\.0)
        for (contract, row) in live { gateways[contract] = row.spec?.gateways }
    }

    /// Takes an entry that took effect.
    mutating func take(_ entry: Entry, _ summary: EntrySummary) {
        switch entry.body {
        case .contractCreate(let body): take(body.spec, of: entry.id, summary)
        case .contractUpdate(let body): take(body.spec, of: body.contract, summary)
        case .contractCancel(let body): add(summary, to: body.contract)
        case .contractReport(let body): add(summary, to: body.contract, node: body.node)
        case .billSettle(let body): add(summary, to: body.contract)
        case .tick(let body): if deletions.contains(body.time) { ticks[body.time] = summary }
        case .nodeRegister: nodes[entry.id] = [summary]
        case .nodeUpdate(let body): nodes[body.node]?.append(summary)
        case .nodeRetire(let body): nodes[body.node]?.append(summary)
        case .nameCreate(let body):
            guard isLabel(body.name) else { return }
            nameLabels[entry.id] = body.name
            names[body.name] = [summary]
        case .nameTransfer(let body): add(summary, toName: body.name)
        case .nameRelease(let body): add(summary, toName: body.name)
        default: break
        }
    }

    private mutating func take(_ spec: ContractSpec, of contract: Identifier, _ summary: EntrySummary) {
        let isNamed = subject.isNamed(in: spec)
        if isNamed {
            if contracts[contract] == nil { candidates.append(contract) }
            namings[contract] = summary
            gateways[contract] = spec.gateways
            contracts[contract, default: []].append((summary, nil))
        } else {
            add(summary, to: contract)
        }
    }

    private mutating func add(_ summary: EntrySummary, to contract: Identifier, node: Identifier? = nil) {
        contracts[contract]?.append((summary, node))
    }

    private mutating func add(_ summary: EntrySummary, toName id: Identifier) {
        guard let label = nameLabels[id] else { return }
        names[label, default: []].append(summary)
    }

    private func isLabel(_ name: String) -> Bool {
        guard case .host(let host) = subject else { return false }
        return host.utf8.split(separator: 0x2E).contains { $0.elementsEqual(name.utf8) }
    }

    // MARK: What a sentence rests on

    /// The last entry of some types about a contract; with a node only reports of that node.
    func last(_ types: [EntryType], of contract: Identifier, node: Identifier? = nil) -> EntrySummary? {
        contracts[contract]?.last { element in
            element.entry.type.map(types.contains) == true && (node == nil || element.node == node)
        }?.entry
    }

    /// The terms in force: the last create or update.
    func terms(of contract: Identifier) -> EntrySummary? { last([.contractCreate, .contractUpdate], of: contract) }

    /// The tick that deleted contracts at a time.
    func tick(at time: Timestamp) -> EntrySummary? { ticks[time] }

    /// The last entry about a name.
    func last(name: String) -> EntrySummary? { names[name]?.last }

    /// The last entry about a node.
    func last(node: Identifier) -> EntrySummary? { nodes[node]?.last }
}
