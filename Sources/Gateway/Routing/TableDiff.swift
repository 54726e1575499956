internal import Contracts

/// What a new table changes: listeners to open and close, and contracts whose running flows must be asked for again.
///
/// Contracts that are not named here are not touched by the change.
struct TableDiff: Equatable, Sendable {
    /// Ports to open, ascending.
    var opened: [LeasedPort] = []
    /// Ports to close, ascending.
    var closed: [LeasedPort] = []
    /// Contracts with a route that appeared, went or changed.
    var touched: Set<Identifier> = []
    /// Contracts that are no longer served.
    var ended: Set<Identifier> = []

    init(from old: RoutingIndex?, to new: RoutingIndex) {
        let oldPorts = old?.ports ?? [:]
        opened = new.ports.keys.filter { oldPorts[$0] == nil }.sorted()
        closed = oldPorts.keys.filter { new.ports[$0] == nil }.sorted()
        for route in new.routes {
            guard let before = old?.byKey[route.key], before.route.canonical == route.route.canonical else {
                touched.insert(route.contract.id)
                continue
            }
            if before.contract.window != route.contract.window
                || before.contract.isSuspendedByLaw != route.contract.isSuspendedByLaw
            {
                touched.insert(route.contract.id)
            }
        }
        for route in old?.routes ?? [] where new.byKey[route.key] == nil { touched.insert(route.contract.id) }
        for contract in old?.contracts ?? [] where new.slots[contract.id] == nil { ended.insert(contract.id) }
    }
}
