internal import Contracts

/// What one loop counts for contracts: made when a contract's first visitor comes, kept as long as the contract, or one of its
/// streams, is there. Loop-owned.
struct ContractLoads {
    private var loads: [Identifier: ContractLoad] = [:]

    var all: some Sequence<ContractLoad> { loads.values }

    subscript(id: Identifier) -> ContractLoad? { loads[id] }

    /// The load of a contract, made by `make` when there is none.
    mutating func load(_ id: Identifier, make: () -> ContractLoad) -> ContractLoad {
        if let load = loads[id] { return load }
        let load = make()
        loads[id] = load
        return load
    }

    /// Drops loads without streams of contracts that are not served any more.
    mutating func forget(at now: Timestamp, unless isServed: (Identifier) -> Bool) {
        for (id, load) in loads where load.tickets.isEmpty && !isServed(id) {
            load.settle(at: now)
            loads[id] = nil
        }
    }

    /// Streams and refusals of every contract.
    var figures: [Identifier: ContractFigures] {
        loads.mapValues {
            ContractFigures(streams: $0.tickets.count, refusals: $0.refusals, delays: $0.flow.delays)
        }
    }
}
