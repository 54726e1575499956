internal import Contracts

/// A visitor of a `reverse-raw` exposure: the permit, the stream that stands for it in the session, and the link between its
/// connection and the agent's data connection. Loop-owned.
///
/// The stream carries no bytes. It counts as open while the link lives, ends with its session, and brings word of an end that is
/// no end of a socket.
final class DataVisitor: TicketHolder, StreamOwner {
    private let front: Front
    private var leg: Leg?
    private var link: Link?
    private var stream: Stream?
    private var ticket: FlowTicket?
    private var isOver = false

    private init(_ leg: Leg, _ front: Front) {
        self.leg = leg
        self.front = front
    }

    /// As `RawVisitor.serve`.
    static func serve(
        _ descriptor: Int32,
        _ permit: Permit,
        _ visitor: Visitor,
        _ front: Front,
        ahead: [UInt8],
        describe: (inout StreamOpen) -> Void,
        retry: @escaping @Sendable (Front, Int32, Visitor) -> Void
    ) {
        let leg = Leg(adopting: descriptor, loop: front.loop)
        let holder = DataVisitor(leg, front)
        switch front.open(permit, visitor: visitor, holder: holder, owner: holder, describe: describe) {
        case .opened(let stream, let ticket):
            holder.begin(leg, stream, ticket, visitor.proxyHeader(permit.route.route.proxy) + ahead)
        case .elsewhere(let place):
            let next = visitor.passedOn(to: place.agent)
            front.hand(over: leg.release(), to: place.loop) { front, descriptor in retry(front, descriptor, next) }
        case .refused(let refusal):
            front.count(refusal, permit.route.contract)
            holder.end(nil)
        }
    }

    private func begin(_ leg: Leg, _ stream: Stream, _ ticket: FlowTicket, _ ahead: [UInt8]) {
        self.stream = stream
        self.ticket = ticket
        guard let session = ticket.session else { return end(.internalError) }
        let link = session.lines.link(for: stream)
        // The session may have broken in the call.
        guard !isOver else { return link.close(abort: true) }
        self.link = link
        self.leg = nil
        link.begin(stream.flow, ahead: ahead, idleLimit: front.limits.rawIdleSeconds) { self.linkEnded($0) }
        do throws(SocketError) { try link.join(near: leg) } catch { end(.internalError) }
    }

    private func linkEnded(_ reason: Link.End) {
        switch reason {
        case .finished:
            stream?.retire()
            end(nil)
        case .nearBroke, .stopped: end(.cancelled)
        case .farBroke, .dialFailed: end(.internalError)
        case .aloneTooLong:
            front.count(.silentWorkload, ticket?.route.contract)
            end(.timeout)
        case .overBudget: end(.limit)
        case .idle: end(.timeout)
        }
    }

    private func end(_ code: ResetCode?) {
        guard !isOver else { return }
        isOver = true
        if let code { stream?.reset(code) }
        link?.close(abort: true)
        leg?.abort()
        ticket?.end()
        stream = nil
        link = nil
        leg = nil
        ticket = nil
        front.visitorLeft()
    }

    // MARK: The permit

    var isIdle: Bool { false }

    func cut() { end(.contractEnded) }

    // MARK: The stream

    /// Both directions ended, and the agent has no more part in what the visitor has not taken yet.
    func outlivesCarrier() -> Bool {
        guard let link, link.hasSentAll, link.hasHeardEnd else { return false }
        link.limitSilence(StreamLink.leavingTime)
        return true
    }

    func receiveReset(_ code: ResetCode) {
        if code == .dialFailed { front.count(.refusedByWorkload, ticket?.route.contract) }
        stream = nil
        end(nil)
    }

    /// The stream's bytes go over the data connection, and so does their end.
    func receive(_ bytes: Span<UInt8>) -> Int {
        end(.refused)
        return bytes.count
    }

    func receiveFinish() { end(.refused) }
    func streamCanSend() {}
}
