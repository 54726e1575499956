internal import Contracts
internal import HashTreeCollections

/// What a new table changes: listeners to open and close, and contracts whose running flows must be asked for again.
///
/// Contracts that are not named here are not touched by the change.
struct TableDiff: Sendable {
    /// Ports to open, ascending.
    var opened: [LeasedPort] = []
    /// Ports to close, ascending.
    var closed: [LeasedPort] = []
    /// Contracts of the table that came, went or changed in any way.
    var changed: Set<Identifier> = []
    /// Contracts with a served route that appeared, went or changed.
    var touched: Set<Identifier> = []
    /// Contracts that are no longer served.
    var ended: Set<Identifier> = []

    /// - Parameter changed: at least the contracts that differ.
    init(from old: RoutingIndex, to new: RoutingIndex, changed: Set<Identifier>) {
        self.changed = changed
        for id in changed {
            let (before, after) = (old.contracts[id], new.contracts[id])
            opened += after?.leasedPorts.filter { old.ports[$0] == nil } ?? []
            closed += before?.leasedPorts.filter { new.ports[$0] == nil } ?? []
            if Self.isTouched(before, after) { touched.insert(id) }
            if before?.served != nil, after?.served == nil { ended.insert(id) }
        }
        opened.sort()
        closed.sort()
    }

    private static func isTouched(_ before: IndexedContract?, _ after: IndexedContract?) -> Bool {
        guard let before, let after else {
            return !(before?.routes.isEmpty ?? true) || !(after?.routes.isEmpty ?? true)
        }
        return before.routes.count != after.routes.count
            || zip(before.routes, after.routes).contains { $0.route.canonical != $1.route.canonical }
            || before.source.window != after.source.window
            || before.source.isSuspendedByLaw != after.source.isSuspendedByLaw
    }
}

extension IndexedContract {
    /// Ports on which the contract is served.
    fileprivate var leasedPorts: [LeasedPort] {
        routes.flatMap { route -> [LeasedPort] in
            guard case .ports(let from, let to) = route.route.target else { return [] }
            return (from...to).map { LeasedPort($0, route.route.kind) }
        }
    }
}
