internal import Contracts

/// What a loop tells the one that runs under a ticket.
protocol TicketHolder: AnyObject {
    /// Whether nothing is in flight, so that ending it takes nothing from a visitor.
    var isIdle: Bool { get }

    /// The permit is over, with `drain` behind it: end now.
    func cut()
}

/// A stream that was opened under a permit: what is asked again when the table changes. Loop-owned.
final class FlowTicket {
    private(set) var route: ServedRoute
    let visitor: IPAddress?
    /// Released with `end`, as the session is.
    private(set) var holder: (any TicketHolder)?
    private(set) var session: TunnelSession?
    /// The address of a workload that the gateway dialed; that of an agent's is the session's key.
    private let dialed: String?
    private let load: ContractLoad
    /// Place in the load's list; -1 after the end.
    fileprivate(set) var place = -1
    /// When the stream is cut; nil while its permit holds.
    private(set) var cutAt: MonotonicNanoseconds?

    /// Of a stream that goes over the session of an agent.
    convenience init(
        _ permit: Permit,
        session: TunnelSession,
        visitor: IPAddress?,
        load: ContractLoad,
        holder: any TicketHolder
    ) {
        self.init(permit, session: session, dialed: nil, visitor: visitor, load: load, holder: holder)
    }

    /// Of a stream to the address of a workload that the gateway dialed.
    convenience init(
        _ permit: Permit,
        dialed: String,
        visitor: IPAddress?,
        load: ContractLoad,
        holder: any TicketHolder
    ) {
        self.init(permit, session: nil, dialed: dialed, visitor: visitor, load: load, holder: holder)
    }

    private init(
        _ permit: Permit,
        session: TunnelSession?,
        dialed: String?,
        visitor: IPAddress?,
        load: ContractLoad,
        holder: any TicketHolder
    ) {
        route = permit.route
        self.session = session
        self.dialed = dialed
        self.visitor = visitor
        self.load = load
        self.holder = holder
        load.add(self)
    }

    /// The workload that serves the stream; nil after the end.
    var backend: Backend.Target? {
        if let dialed { return .address(dialed) }
        return session.map { .key($0.key) }
    }

    /// The stream ended; harmless to repeat.
    func end() {
        if let cutAt, place >= 0 { load.revocations.ended(due: cutAt, drain: route.contract.drain) }
        load.remove(self)
        holder = nil
        session = nil
    }

    /// Whether the workload takes more work over the stream: not while the agent's session goes away.
    var mayTakeMore: Bool {
        if dialed != nil { return place >= 0 }
        return session.map { $0.isOpen && !$0.isDraining } ?? false
    }

    /// Asks whether the stream may go on. If not, it ends now when idle, else after the contract's `drain`.
    ///
    /// - Parameter holds: whether the proof of the workload still holds, which only those that the gateway dialed need.
    func review(
        _ routes: RoutesInForce,
        at now: Timestamp,
        _ monotonic: MonotonicNanoseconds,
        holds: (ServedRoute, Backend.Target) -> Bool
    ) {
        guard let backend else { return }
        switch routes.renew(route.key, backend: backend, visitor: visitor, at: now) {
        case .permitted(let permit) where !load.isUsedUp && holds(permit.route, backend):
            route = permit.route
            cutAt = nil
        case .permitted, .refused:
            if cutAt == nil { cutAt = monotonic &+ UInt64(max(0, route.contract.drain)) * 1_000_000_000 }
            cutIfDue(monotonic)
        }
    }

    /// Ends the stream when its time has come.
    func cutIfDue(_ now: MonotonicNanoseconds) {
        guard let cutAt, place >= 0, let holder, holder.isIdle || cutAt <= now else { return }
        holder.cut()
    }
}

/// The streams of one contract on one loop.
final class ContractLoad {
    let id: Identifier
    /// What all loops share of the contract.
    let shared: SharedContract
    /// Of the loop.
    let revocations: RevocationMeter
    /// What the contract's streams share on this loop.
    let flow: ContractFlow
    private(set) var tickets: [FlowTicket] = []
    var refusals = RefusalCounts()
    /// The contract has used up the bytes of its period.
    private(set) var isUsedUp = false
    /// What of the flow's counts the shared meter has.
    private var told = UsageTotals()
    /// What the contract refused at the last look; flows are asked again when it changes.
    var refusal: VisitorRefusal?

    init(id: Identifier, shared: SharedContract, loop: Loop, revocations: RevocationMeter) {
        self.id = id
        self.shared = shared
        self.revocations = revocations
        flow = ContractFlow(loop: loop, inbound: shared.inbound, outbound: shared.outbound)
    }

    /// Brings the shared meter up to date; true when the contract's period was used up, or began anew, since the last time.
    ///
    /// - Parameter isFirst: asks also when nothing was counted here, since others may have used the period up.
    func meter(at now: Timestamp, isFirst: Bool = false) -> Bool {
        let counted = UsageTotals(bytesIn: flow.sent, bytesOut: flow.received, conns: flow.opened)
        if counted == told, !isUsedUp, !isFirst { return false }
        let isOver = shared.usage.add(counted - told, at: now)
        told = counted
        defer { isUsedUp = isOver }
        return isOver != isUsedUp
    }

    /// Leaves everything that was counted with what all loops share, before the load is forgotten.
    func settle(at now: Timestamp) {
        _ = meter(at: now)
        shared.keep(refusals)
    }

    fileprivate func add(_ ticket: FlowTicket) {
        ticket.place = tickets.count
        tickets.append(ticket)
    }

    fileprivate func remove(_ ticket: FlowTicket) {
        guard ticket.place >= 0 else { return }
        let last = tickets.removeLast()
        if last !== ticket {
            tickets[ticket.place] = last
            last.place = ticket.place
        }
        ticket.place = -1
        shared.load.leave()
    }
}
