public import Contracts

/// A node's durable totals for one contract, for the ledger to know.
public struct UsageSample: Sendable, Hashable {
    public var bytesIn: Int64
    public var bytesOut: Int64
    public var conns: Int64
    /// Local time at which the totals were read.
    public var time: Timestamp

    public init(bytesIn: Int64, bytesOut: Int64, conns: Int64, time: Timestamp) {
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.conns = conns
        self.time = time
    }
}

/// Which usage reports the fold would take now: a pure function of the verified state and of the node's samples.
///
/// A report is due when a counter moved. `until` must not be later than the ledger's time, which stands still while the ledger is
/// idle; but a sequencer puts a tick in front of an entry that comes more than max(60 s, tick_min) after the last. So a sample may
/// say `until` up to that long, and a minute for differing clocks, before it was read, and always the verified state's time.
///
/// The ledger wants each `until` later than the one before. The last second is kept for a contract's last report, so that it has
/// its place also when a report went before it and the ledger's time stood still since.
struct UsagePlan {
    let state: ContractState
    let node: Identifier
    let samples: [Identifier: UsageSample]
    /// Contracts whose last report this is.
    let ending: Set<Identifier>

    /// Seconds by which clocks may differ.
    private static let skew: Int64 = 60

    /// Bodies of the reports that are due, by contract, ascending.
    var due: [UsageReportBody] {
        samples.keys.sorted().compactMap { report($0) }
    }

    private func report(_ contract: Identifier) -> UsageReportBody? {
        guard let sample = samples[contract], state.contract(contract) != nil else { return nil }
        let old = state.usage(contract: contract, node: node)
        guard old != nil || state.status(contract: contract, node: node) != nil else { return nil }
        let latest = max(state.now, sample.time - max(60, state.meta?.limits.tickMinimum ?? 60) - Self.skew)
        let until = ending.contains(contract) ? latest : latest - 1
        let row = UsageRow(bytesIn: sample.bytesIn, bytesOut: sample.bytesOut, conns: sample.conns, until: until)
        let before = old ?? UsageRow(bytesIn: 0, bytesOut: 0, conns: 0, until: -1)
        guard until > before.until, row.bytesIn >= before.bytesIn, row.bytesOut >= before.bytesOut,
            row.conns >= before.conns
        else { return nil }
        let hasMoved = row.bytesIn > before.bytesIn || row.bytesOut > before.bytesOut || row.conns > before.conns
        return hasMoved ? UsageReportBody(usage: row, contract: contract, node: node) : nil
    }
}
