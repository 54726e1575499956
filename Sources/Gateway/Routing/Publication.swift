public import Contracts

/// What a gateway is told of the ledger at one height: every contract of its table, and how fresh that is.
public struct Publication: Sendable {
    let contracts: [Identifier: ContractRoutes]
    let context: TableContext

    /// From routes alone: reasons that only the state knows stay unknown, and windows that are not given are endless.
    public init(
        node: Identifier,
        routes: [Route],
        height: UInt64 = 0,
        freshness: Freshness = Freshness(quorumTime: nil),
        windows: [Identifier: Range<Timestamp>] = [:],
        suspendedByLaw: Set<Identifier> = []
    ) {
        context = TableContext(node: node, height: height, freshness: freshness, state: nil)
        var contracts: [Identifier: ContractRoutes] = [:]
        for (id, routes) in Dictionary(grouping: routes, by: \.contract) {
            contracts[id] = ContractRoutes(
                contract: id,
                routes: routes,
                window: windows[id] ?? 0..<Timestamp.max,
                isSuspendedByLaw: suspendedByLaw.contains(id)
            )
        }
        self.contracts = contracts
    }
}

/// What a table says besides its contracts.
struct TableContext: Sendable {
    var node: Identifier
    /// Entries behind the state.
    var height: UInt64
    var freshness: Freshness
    /// The state itself, by which agents are told why they are refused.
    var state: ContractState?
}
