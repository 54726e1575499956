internal import Contracts

/// The meter of a contract over all loops: each loop adds what it counted about once a second.
final class SharedUsage: Sendable {
    private struct State {
        var totals = UsageTotals()
        var period = PeriodUse()
        var limit: Limit?
    }

    /// Bytes that the contract may use in each of its periods.
    struct Limit: Hashable, Sendable {
        var bytes: Int64
        /// Seconds.
        var period: Int64
        /// When the first period began.
        var start: Timestamp

        func number(at now: Timestamp) -> Int64 { now < start ? 0 : (now - start) / period }

        func end(of number: Int64) -> Timestamp { start + (number + 1) * period }
    }

    private let state = Lock(State())

    /// The limit of the table in force; nil for none.
    func set(limit: Limit?) {
        state.withLock { $0.limit = limit }
    }

    /// Adds what one loop counted; true when the contract has used up its period.
    func add(_ more: UsageTotals, at now: Timestamp) -> Bool {
        state.withLock { state in
            state.totals = state.totals + more
            guard let limit = state.limit else { return false }
            let number = limit.number(at: now)
            if number != state.period.number { state.period = PeriodUse(number: number) }
            state.period.bytes += more.bytes
            return state.period.bytes >= limit.bytes
        }
    }

    /// Begins at what was counted before this process.
    init(_ before: UsageTotals, _ period: PeriodUse) {
        state.withLock {
            $0.totals = before
            $0.period = period
        }
    }

    var totals: UsageTotals { state.withLock { $0.totals } }
    var period: PeriodUse { state.withLock { $0.period } }

    /// The period the contract is in; nil without a limit.
    func status(at now: Timestamp) -> GatewayStatus.Period? {
        state.withLock { state in
            guard let limit = state.limit else { return nil }
            let number = limit.number(at: now)
            let used = number == state.period.number ? state.period.bytes : 0
            return GatewayStatus.Period(used: used, limit: limit.bytes, ends: limit.end(of: number))
        }
    }
}

/// What all loops share of a contract. It outlives the contract's place in the table, so that one that leaves and comes back
/// meets its old connections, rate and meter.
final class SharedContract: Sendable {
    let load = SharedLoad()
    let inbound = SharedRate()
    let outbound = SharedRate()
    let usage: SharedUsage
    private let past = Lock(Past())

    private struct Past {
        /// What loops counted that have forgotten the contract since.
        var refusals = RefusalCounts()
        /// When the contract left the table; nil while it is there.
        var ended: Timestamp?
    }

    /// Seconds for which a contract that ended is still listed with what was refused, so that its owner can be told why.
    static let memory: Int64 = 3600

    init(_ before: UsageTotals = UsageTotals(), _ period: PeriodUse = PeriodUse()) {
        usage = SharedUsage(before, period)
    }

    /// Takes the limits of the table.
    func take(_ contract: ServedContract) {
        inbound.bitsPerSecond = contract.bps
        outbound.bitsPerSecond = contract.bps
        usage.set(limit: contract.periodLimit)
        past.withLock { $0.ended = nil }
    }

    /// The contract has left the table.
    func end(at now: Timestamp) { past.withLock { $0.ended = now } }

    /// A loop forgets the contract: what it counted is kept here, so that counters never fall.
    func keep(_ refusals: RefusalCounts) { past.withLock { $0.refusals.add(refusals) } }

    /// What loops counted that have forgotten the contract.
    var pastRefusals: RefusalCounts { past.withLock { $0.refusals } }

    /// Whether a contract that is in no table is still told about.
    func isRemembered(at now: Timestamp) -> Bool {
        past.withLock { past in
            past.ended.map { now - $0 <= Self.memory && !past.refusals.counts.isEmpty } ?? false
        }
    }
}
