internal import Contracts

/// A visitor whose bytes pass through as they are: the permit, the stream and the link of a TCP or TLS connection. Loop-owned.
final class RawVisitor: TicketHolder, StreamLinkOwner {
    private let front: Front
    private var link: StreamLink?
    private var ticket: FlowTicket?

    private init(_ front: Front) { self.front = front }

    var isIdle: Bool { false }

    /// Joins the descriptor to a stream of the permitted route, or passes it to the loop that can, or aborts it.
    ///
    /// - Parameters:
    ///   - ahead: what was read of the visitor; goes to the workload first, behind a PROXY header.
    ///   - retry: does the same on another loop.
    static func serve(
        _ descriptor: Int32,
        _ permit: Permit,
        _ visitor: Visitor,
        _ front: Front,
        ahead: [UInt8],
        describe: (inout StreamOpen) -> Void,
        retry: @escaping @Sendable (Front, Int32, Visitor) -> Void
    ) {
        if permit.route.route.conn == .reverseRaw {
            return DataVisitor.serve(
                descriptor,
                permit,
                visitor,
                front,
                ahead: ahead,
                describe: describe,
                retry: retry
            )
        }
        let leg = Leg(adopting: descriptor, loop: front.loop)
        let holder = RawVisitor(front)
        let idle = Duration.seconds(Int64(front.limits.rawIdleSeconds))
        guard
            let link = try? StreamLink(leg: leg, abortCode: .cancelled, idleLimit: idle, owner: holder)
        else {
            leg.abort()
            return front.visitorLeft()
        }
        switch front.open(permit, visitor: visitor, holder: holder, owner: link, describe: describe) {
        case .opened(let stream, let ticket):
            holder.link = link
            holder.ticket = ticket
            link.attach(
                stream,
                readAhead: visitor.proxyHeader(permit.route.route.proxy) + ahead
            )
        case .elsewhere(let place):
            let descriptor = leg.release()
            front.loop.remove(link)
            let next = visitor.passedOn(to: place.agent)
            front.hand(over: descriptor, to: place.loop) { front, descriptor in retry(front, descriptor, next) }
        case .refused(let refusal):
            front.count(refusal, permit.route.contract)
            // The tunnel may have broken in the call, and ended the link with it.
            guard leg.isOpen else { return }
            leg.abort()
            front.loop.remove(link)
            front.visitorLeft()
        }
    }

    func linkEnded(_ link: StreamLink, _ code: ResetCode?) {
        if code == .dialFailed { front.count(.refusedByWorkload, ticket?.route.contract) }
        ticket?.end()
        ticket = nil
        self.link = nil
        front.visitorLeft()
    }

    func cut() {
        let link = link
        link?.stream?.reset(.contractEnded)
        link?.receiveReset(.contractEnded)
    }
}
