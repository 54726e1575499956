public import Contracts
internal import HashTreeCollections

/// A view of a gateway at one moment, for `status`.
public struct GatewayStatus: Sendable {
    /// One exposure of a contract.
    public struct Exposure: Sendable {
        public var contract: Identifier
        public var expose: String
        public var kind: ExposeKind
        public var mode: RouteMode
        public var hosts: [String]
        /// As `from-to`, or one number.
        public var ports: [String]
        public var sessions: Int
        public var condition: RouteCondition?
        public var period: Period?
        /// The proofs of an overlay contract; nil for one of agents.
        var proof: OverlaySummary?
    }

    /// What was counted for a contract.
    public struct Figures: Sendable {
        public var contract: Identifier
        public var streams: Int
        public var refused: [VisitorRefusal: Int64]
        /// Times that a stream waited for the contract's rate.
        public var delays: Int64
        public var totals: UsageTotals
        /// Nil for a contract without `bytes_period`.
        public var period: Period?
    }

    /// The period that a contract with `bytes_period` is in.
    public struct Period: Sendable {
        /// Bytes, both ways.
        public var used: Int64
        public var limit: Int64
        public var ends: Timestamp

        /// From nine tenths on the owner is warned.
        public var isNear: Bool { used >= limit - limit / 10 }
        public var isUsedUp: Bool { used >= limit }
    }

    /// An agent's session.
    public struct Session: Sendable {
        public var key: PublicKey
        public var peer: String
        public var contracts: [Identifier]
        public var slot: Int64
        public var agent: String
        public var streams: Int
        /// Data connections that wait for a visitor.
        public var spare: Int
        public var isDraining: Bool
    }

    public var node: Identifier
    public var height: UInt64
    public var quorumTime: Timestamp?
    /// Freshness of the state: `normal`, `stale`, `LedgerStale`, `expired`, or `halted`.
    public var ledgerCondition: String
    /// Seconds since the quorum time.
    public var ledgerAge: Int64?
    /// Why the ledger is not followed any more.
    public var ledgerHalt: String?
    public var ledgerAlarms: [Freshness.Alarm]
    /// What was verified of the entries before a snapshot.
    public var ledgerHistory: Freshness.History?
    public var routes: [Exposure]
    public var contracts: [Figures]
    public var sessions: [Session]
    /// Tables applied since the start.
    public var generation: Int64
    /// No new visitors are taken.
    public var isDraining: Bool
    public var visitors: Int64
    public var visitorsTotal: Int64
    /// Refused visitors that no contract is to blame for.
    public var refused: [VisitorRefusal: Int64]
    /// Agents' connections that were closed unanswered.
    var tunnelRefusals = TunnelRefusals()
    var revocation = RevocationFigures()
    /// Bytes held for visitors and agents that do not read, over all loops.
    public var stuckBytes = 0

    init(
        node: Identifier,
        index: RoutingIndex,
        generation: Int64,
        isDraining: Bool,
        loops: [LoopStatus],
        unavailable: [LeasedPort: String],
        unreachable: Set<Identifier>,
        standings: [OverlaySubject: OverlayStanding] = [:],
        visitors: SharedLoad,
        shared: [Identifier: SharedContract],
        now: Timestamp
    ) {
        self.node = node
        self.generation = generation
        self.isDraining = isDraining
        self.visitors = visitors.count
        visitorsTotal = visitors.opened
        let freshness = index.context.freshness
        height = index.context.height
        quorumTime = freshness.quorumTime
        ledgerCondition = freshness.condition(at: now)
        ledgerAge = freshness.age(at: now)
        ledgerHalt = freshness.halt
        ledgerAlarms = freshness.alarms
        ledgerHistory = freshness.history
        sessions = loops.flatMap(\.sessions).map {
            Session(
                key: $0.key,
                peer: $0.peer,
                contracts: $0.contracts,
                slot: $0.slot,
                agent: $0.agent,
                streams: $0.streams,
                spare: $0.spare,
                isDraining: $0.isDraining
            )
        }
        var totals: [Identifier: ContractFigures] = [:]
        var unattributed = RefusalCounts()
        for loop in loops {
            totals.merge(loop.figures) { one, other in
                var sum = one
                sum.add(other)
                return sum
            }
            unattributed.add(loop.refusals)
            tunnelRefusals.add(loop.tunnelRefusals)
            revocation.add(loop.revocation)
            stuckBytes += loop.stuckBytes
        }
        for contract in index.contracts.values {
            if contract.served != nil, totals[contract.source.contract] == nil {
                totals[contract.source.contract] = ContractFigures()
            }
        }
        refused = unattributed.counts
        for (id, contract) in shared where totals[id] != nil || contract.isRemembered(at: now) {
            totals[id, default: ContractFigures()].refusals.add(contract.pastRefusals)
        }
        contracts = totals.sorted { $0.key < $1.key }.map {
            Figures(
                contract: $0.key,
                streams: $0.value.streams,
                refused: $0.value.refusals.counts,
                delays: $0.value.delays,
                totals: shared[$0.key]?.usage.totals ?? UsageTotals(),
                period: shared[$0.key]?.usage.status(at: now)
            )
        }
        let conditions = index.conditions(unavailable: unavailable, unreachable: unreachable, standings: standings)
        routes = Self.exposures(
            index.contracts.values.map(\.source).sorted { $0.contract < $1.contract }.flatMap(\.routes),
            conditions: Dictionary(uniqueKeysWithValues: conditions.map { ($0.contract, $0) }),
            sessions: sessions,
            periods: shared.compactMapValues { $0.usage.status(at: now) },
            proofs: Dictionary(
                uniqueKeysWithValues: index.overlay.map { ($0.key, OverlaySummary($0.value, standings)) }
            )
        )
    }

    private static func exposures(
        _ routes: [Route],
        conditions: [Identifier: RouteCondition],
        sessions: [Session],
        periods: [Identifier: Period],
        proofs: [Identifier: OverlaySummary]
    ) -> [Exposure] {
        var list: [Exposure] = []
        var places: [String: Int] = [:]
        var counts: [Identifier: Int] = [:]
        for session in sessions {
            for contract in session.contracts { counts[contract, default: 0] += 1 }
        }
        for route in routes {
            let name = "\(route.contract) \(route.expose)"
            let place = places[name] ?? list.count
            if place == list.count {
                places[name] = place
                list.append(
                    Exposure(
                        contract: route.contract,
                        expose: route.expose,
                        kind: route.kind,
                        mode: route.mode,
                        hosts: [],
                        ports: [],
                        sessions: counts[route.contract] ?? 0,
                        condition: conditions[route.contract],
                        period: periods[route.contract],
                        proof: proofs[route.contract]
                    )
                )
            }
            switch route.target {
            case .http(let host, _, _, _, _, _), .tls(let host, _, _):
                if !list[place].hosts.contains(where: { $0.utf8.elementsEqual(host.utf8) }) {
                    list[place].hosts.append(host)
                }
            case .ports(let from, let to):
                let port = LeasedPort(from, route.kind).description
                list[place].ports.append(from == to ? port : "\(port)-\(to)")
            }
        }
        return list
    }
}
