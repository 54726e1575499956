internal import Contracts

/// A visitor whose bytes pass through as they are: the permit, the stream and the link of a TCP or TLS connection. Loop-owned.
final class RawVisitor: TicketHolder {
    private var link: StreamLink?
    private var stream: Stream?
    private var ticket: FlowTicket?

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
        let holder = RawVisitor()
        let idle = Duration.seconds(Int64(front.limits.rawIdleSeconds))
        guard
            let link = try? StreamLink(
                leg: leg,
                abortCode: .cancelled,
                idleLimit: idle,
                onEnd: { _, code in
                    if code == .dialFailed { front.count(.refusedByWorkload, holder.ticket?.route.contract) }
                    holder.linkEnded()
                    front.visitorLeft()
                }
            )
        else {
            leg.abort()
            return front.visitorLeft()
        }
        switch front.open(permit, visitor: visitor, holder: holder, owner: link, describe: describe) {
        case .opened(let stream, let ticket):
            holder.link = link
            holder.stream = stream
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

    private func linkEnded() {
        ticket?.end()
        ticket = nil
        stream = nil
        link = nil
    }

    func cut() {
        let (stream, link) = (stream, link)
        stream?.reset(.contractEnded)
        link?.receiveReset(.contractEnded)
    }
}
