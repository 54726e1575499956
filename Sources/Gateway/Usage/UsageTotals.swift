public import Contracts

/// What was carried for a contract at a node since the contract began there.
public struct UsageTotals: Hashable, Sendable {
    /// Payload bytes from visitors to the workload.
    public var bytesIn: Int64
    /// Payload bytes from the workload to visitors.
    public var bytesOut: Int64
    /// Streams opened to agents.
    public var conns: Int64

    public init(bytesIn: Int64 = 0, bytesOut: Int64 = 0, conns: Int64 = 0) {
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.conns = conns
    }

    /// As the ledger has it.
    public init(_ row: UsageRow) { self.init(bytesIn: row.bytesIn, bytesOut: row.bytesOut, conns: row.conns) }

    public static func + (left: UsageTotals, right: UsageTotals) -> UsageTotals {
        UsageTotals(
            bytesIn: left.bytesIn + right.bytesIn,
            bytesOut: left.bytesOut + right.bytesOut,
            conns: left.conns + right.conns
        )
    }

    static func - (left: UsageTotals, right: UsageTotals) -> UsageTotals {
        UsageTotals(
            bytesIn: left.bytesIn - right.bytesIn,
            bytesOut: left.bytesOut - right.bytesOut,
            conns: left.conns - right.conns
        )
    }

    /// The greater of each counter: totals never fall.
    public func orMore(than other: UsageTotals) -> UsageTotals {
        UsageTotals(
            bytesIn: max(bytesIn, other.bytesIn),
            bytesOut: max(bytesOut, other.bytesOut),
            conns: max(conns, other.conns)
        )
    }

    /// Bytes both ways.
    public var bytes: Int64 { bytesIn + bytesOut }
}

/// What a meter is about: a contract at one node.
public struct UsageSubject: Hashable, Sendable {
    public var contract: Identifier
    public var node: Identifier

    public init(contract: Identifier, node: Identifier) {
        self.contract = contract
        self.node = node
    }
}

/// Bytes of the period that a contract is in; periods are counted from its `not_before`.
public struct PeriodUse: Hashable, Sendable {
    /// Periods that have passed since `not_before`.
    public var number: Int64
    /// Bytes of this period, both ways.
    public var bytes: Int64

    public init(number: Int64 = 0, bytes: Int64 = 0) {
        self.number = number
        self.bytes = bytes
    }
}

/// The meter of a contract as it is made durable.
public struct ContractMeter: Hashable, Sendable {
    public var contract: Identifier
    public var totals: UsageTotals
    public var period: PeriodUse

    public init(contract: Identifier, totals: UsageTotals, period: PeriodUse = PeriodUse()) {
        self.contract = contract
        self.totals = totals
        self.period = period
    }
}
