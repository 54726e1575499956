internal import Contracts

extension HTTPConnection {
    /// Starts an exchange: permit, stream, head. Returns the loop that must do it when it has the session that was chosen.
    func begin(_ head: RequestHead, _ bytes: Span<UInt8>) -> Elsewhere? {
        exchange = Exchange(head)
        if front.isDraining { exchange.keepsAlive = false }
        let decision = front.routes.permit(
            host: bytes,
            head.host,
            path: head.path,
            visitor: visitor.address,
            at: front.wall
        )
        let permit: Permit
        switch decision {
        case .refused(.unknown, _) where !front.mayAskInVain(visitor):
            front.count(.flood, nil)
            abort()
            return nil
        case .refused(let refusal, let contract):
            front.count(refusal, contract)
            refuse(Failure(refusal))
            return nil
        case .permitted(let granted): permit = granted
        }
        // Asked here too, for requests on a stream that is kept.
        if front.isUsedUp(permit.route.contract) {
            front.count(.quota, permit.route.contract)
            dropStream(.cancelled)
            refuse(.quota)
            return nil
        }
        var isNew = false
        if !canReuseStream(for: permit, isReplayable: head.isReplayable) {
            dropStream(.cancelled)
            switch open(permit, host: String(copying: bytes, head.host)) {
            case .opened: isNew = true
            case .elsewhere(let place): return place
            case .refused(let refusal):
                front.count(refusal, permit.route.contract)
                // The agents were told to go elsewhere, so none is left to serve what the table still has.
                refuse(front.isDraining && refusal == .noAgent ? .draining : Failure(refusal))
                return nil
            }
        }
        var output = front.takeOutput()
        if isNew { output.append(contentsOf: visitor.proxyHeader(permit.route.route.proxy)) }
        let start = output.count
        RequestForwarding.append(head, front.requests.fields, bytes, visitor: visitor.fields, to: &output)
        if head.isReplayable { exchange.replay = [UInt8](copying: output.span.extracting(start..<output.count)) }
        exchange.attempts = 1
        phase = .exchange
        pace.begin()
        touch()
        send(output.span)
        front.give(output)
        return nil
    }

    /// Whether the stream at hand may carry a request under this permit.
    ///
    /// A workload may close an idle connection at any moment. A request that cannot be sent twice is put on a stream only if it was
    /// used a moment ago.
    private func canReuseStream(for permit: Permit, isReplayable: Bool) -> Bool {
        guard let stream, let ticket, !stream.isClosed, !stream.peerFinished, !stream.didFinish else { return false }
        let route = permit.route
        if ticket.route !== route {
            guard ticket.route.route.contract == route.route.contract,
                ticket.route.route.expose.utf8.elementsEqual(route.route.expose.utf8),
                ticket.backend.map(route.has) == true
            else { return false }
        }
        guard ticket.cutAt == nil, ticket.mayTakeMore else { return false }
        return isReplayable || Self.second(front.loop.now) &- answeredSince <= 1
    }

    private func open(_ permit: Permit, host: String) -> Front.Opening {
        let opening = front.open(permit, visitor: visitor, holder: self, owner: self) { open in
            open.host = host
        }
        if case .opened(let stream, let ticket) = opening {
            self.stream = stream
            self.ticket = ticket
        }
        return opening
    }

    /// Sends the request again on another stream, if it may be and was not tried too often. False when the visitor must be told.
    func retry() -> Bool {
        guard let replay = exchange.replay, !exchange.hasAnswered, exchange.attempts < 3, let ticket,
            let backend = ticket.backend
        else { return false }
        guard
            case .permitted(let permit) = front.routes.renew(
                ticket.route.key,
                backend: backend,
                visitor: visitor.address,
                at: front.wall
            )
        else { return false }
        dropStream(.cancelled)
        // The tunnel may break in the call; then the visitor was told already.
        guard case .opened = open(permit, host: "") else { return phase != .exchange }
        exchange.attempts += 1
        var output = front.takeOutput()
        output.append(contentsOf: visitor.proxyHeader(permit.route.route.proxy))
        output.append(contentsOf: replay)
        send(output.span)
        front.give(output)
        return true
    }
}

extension String {
    /// Text of borrowed bytes that are known to be ASCII.
    init(copying bytes: Span<UInt8>, _ range: Range<Int>) {
        self.init(decoding: [UInt8](copying: bytes.extracting(range)), as: UTF8.self)
    }
}

extension Failure {
    /// What a visitor of an http exposure is told for a refusal.
    init(_ refusal: VisitorRefusal) {
        switch refusal {
        case .unknown, .ended: self = .notFound
        case .stale: self = .stale
        case .denied: self = .forbidden
        case .grace: self = .grace
        case .suspended: self = .suspended
        case .suspendedByLaw: self = .legal
        case .ambiguous, .malformed: self = .malformed
        case .noAgent, .unproven: self = .noAgent
        case .limit, .rate: self = .limit
        case .quota: self = .quota
        case .overload: self = .overloaded
        case .slow: self = .timeout
        case .flood: self = .limit
        case .refusedByWorkload: self = .refused
        case .silentWorkload: self = .silent
        case .malformedAnswer: self = .badAnswer
        }
    }
}
