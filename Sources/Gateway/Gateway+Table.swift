public import Contracts
internal import HashTreeCollections
internal import Logging

extension Gateway {
    /// Takes a whole table. New visitors and requests meet it at once; streams that it no longer permits end after their `drain`;
    /// all others are not touched. Call it for every verified state, also when the table did not change: it brings freshness.
    public func apply(_ publication: Publication) {
        routes.withLock { _ in
            take(publication.context) { $0.take(publication, at: $1) }
        }
    }

    /// Takes the table of a verified state at a local time, at the cost of what changed since the one before.
    ///
    /// - Returns: the next time at which the table of the same state changes by itself, or an earlier one; apply it again then.
    @discardableResult
    public func apply(_ verified: ContractState, at now: Timestamp, _ freshness: Freshness) -> Timestamp? {
        routes.withLock { routes in
            let changed = routes.move(to: verified, at: now)
            let context = TableContext(
                node: core.configuration.node,
                height: verified.size,
                freshness: freshness,
                state: verified
            )
            var changes: [Identifier: ContractRoutes?] = [:]
            for id in changed { changes[id] = .some(routes.contracts[id]) }
            take(context) { $0.take(changes, context, at: $1) }
            return routes.nextChange
        }
    }

    /// Why a visitor of a host, at the path `/`, would not be let in now; nil when it would be, and for whether an agent is
    /// connected it does not look.
    public func refusal(host: [UInt8], visitor: IPAddress? = nil) -> VisitorRefusal? {
        let now = core.clock.seconds(at: monotonicNow())
        let end = host.count
        let routes = state.withLock { $0.routes }
        switch routes.permit(host: host.span, 0..<end, path: end..<end, visitor: visitor, at: now) {
        case .permitted: return nil
        case .refused(let refusal, _): return refusal
        }
    }

    /// Looks hosts up in the table in force, and says how many of them it has: the look-up by itself, to be measured.
    ///
    /// - Parameters:
    ///   - hosts: one behind the other.
    ///   - ends: where each ends, ascending.
    package func known(hosts: [UInt8], ends: [Int]) -> Int {
        let routes = state.withLock { $0.routes }
        var start = 0
        var known = 0
        for end in ends {
            if routes.has(host: hosts.span, start..<end) { known += 1 }
            start = end
        }
        return known
    }

    /// Makes the next index beside the one in force, and puts it in force on every loop.
    private func take(_ context: TableContext, _ change: (inout RoutingIndex, Timestamp) -> TableDiff) {
        let old = state.withLock { $0.index }
        var next = old
        let diff = change(&next, core.clock.seconds(at: monotonicNow()))
        let index = next
        share(diff, index, context)
        state.withLock { state in
            state.routes = RoutesInForce(index)
            state.generation += 1
            if !diff.changed.isEmpty { state.news += 1 }
            for port in diff.closed {
                state.closing[port] = state.ports.removeValue(forKey: port)?.listening.map { WeakSocket($0) }
            }
            forgetFailures(diff, old, &state)
            let opened = state.isDraining ? [] : diff.opened.filter { openPort($0, &state) }
            let sockets = opened.map { ($0, state.ports[$0]!) }
            for (place, front) in core.allFronts.enumerated() {
                front.submit { front in
                    front.apply(index, diff)
                    for port in diff.closed { front.close(port: port) }
                    for (port, sockets) in sockets { front.open(port: port, sockets, place: place) }
                }
            }
            lookAfterOverlay(index)
        }
        logger.debug(
            "table",
            metadata: [
                "height": "\(context.height)", "contracts": "\(index.contracts.count)",
                "touched": "\(diff.touched.count)", "ended": "\(diff.ended.count)",
            ]
        )
    }

    /// Makes what loops share of the contracts that changed, and gives it their limits.
    private func share(_ diff: TableDiff, _ index: RoutingIndex, _ context: TableContext) {
        let served = diff.changed.compactMap { index.contract($0) }
        let restored = state.withLock { state in
            var restored: [Identifier: ContractMeter] = [:]
            for contract in served { restored[contract.id] = state.restored.removeValue(forKey: contract.id) }
            return restored
        }
        core.contracts.withLock { contracts in
            for contract in served {
                let shared = contracts[contract.id] ?? begun(contract.id, restored[contract.id], context)
                shared.take(contract)
                contracts[contract.id] = shared
            }
            for id in diff.ended { contracts[id]?.end(at: core.clock.seconds(at: monotonicNow())) }
        }
    }

    /// A contract that begins here: its meter goes on from what was durable, and never below what the ledger has.
    private func begun(_ id: Identifier, _ durable: ContractMeter?, _ context: TableContext) -> SharedContract {
        let reported = context.state?.usage(contract: id, node: context.node).map(UsageTotals.init)
        let totals = (durable?.totals ?? UsageTotals()).orMore(than: reported ?? UsageTotals())
        return SharedContract(totals, durable?.period ?? PeriodUse())
    }

    /// Ports that could not be opened are forgotten with the last contract that leases them.
    private func forgetFailures(_ diff: TableDiff, _ old: RoutingIndex, _ state: inout State) {
        guard !state.unavailable.isEmpty, !diff.changed.isEmpty else { return }
        let index = state.index
        let given = diff.changed.flatMap { old.contracts[$0]?.verdict.ports ?? [] }
        for port in state.unavailable.keys where given.contains(where: { $0.contains(port) }) {
            let isLeased = index.contracts.values.contains { contract in
                contract.verdict.ports.contains { $0.contains(port) }
            }
            if !isLeased { state.unavailable[port] = nil }
        }
    }
}
