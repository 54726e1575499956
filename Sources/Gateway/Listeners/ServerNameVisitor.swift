internal import Contracts

/// A visitor of the TLS port until the server name is known. Reads at most `ClientHello.limit` bytes, for at most the head's time.
final class ServerNameVisitor: Handler {
    private let leg: Leg
    private let front: Front
    private let visitor: Visitor
    private var bytes: [UInt8] = []
    private let since: MonotonicNanoseconds
    private var isRefused = false

    init(leg: Leg, visitor: Visitor, front: Front) throws(SocketError) {
        self.leg = leg
        self.front = front
        self.visitor = visitor
        since = front.loop.now
        super.init()
        try leg.register(self)
    }

    override func ready(_ events: Events) {
        guard leg.isOpen else { return }
        guard leg.note(events), !events.contains(.failed) else { return end(abort: true) }
        while leg.isOpen, leg.hasInput {
            if isRefused {
                // The alert is out; the rest of a large hello is thrown away so that it is not lost to a reset.
                switch leg.read(limit: 64 << 10, { _ in }) {
                case .bytes: continue
                case .again: return
                case .end, .failed: return end(abort: false)
                }
            }
            switch leg.read(limit: ClientHello.limit - bytes.count, { bytes.append(copying: $0) }) {
            case .bytes: judge()
            case .again: return
            case .end, .failed: return end(abort: false)
            }
        }
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        let limit = UInt64(isRefused ? front.limits.lingerSeconds : front.limits.headerSeconds) * 1_000_000_000
        guard now &- since >= limit else { return }
        if !isRefused { front.count(.malformed, nil) }
        end(abort: isRefused)
    }

    override func loopStops() { end(abort: false) }

    private func judge() {
        switch ClientHello.parse(bytes.span) {
        case .incomplete where bytes.count < ClientHello.limit: break
        case .incomplete, .malformed: refuse(ClientHello.decodeError, .malformed, nil)
        case .noName: refuse(ClientHello.unrecognizedName, .unknown, nil)
        case .name(let name):
            switch front.routes.permit(serverName: name, visitor: visitor.address, at: front.wall) {
            case .permitted: join(name)
            case .refused(.unknown, _) where !front.mayAskInVain(visitor):
                front.count(.flood, nil)
                end(abort: true)
            case .refused(.unknown, let contract): refuse(ClientHello.unrecognizedName, .unknown, contract)
            case .refused(let refusal, let contract):
                front.count(refusal, contract)
                end(abort: true)
            }
        }
    }

    private func join(_ name: [UInt8]) {
        let descriptor = leg.release()
        front.loop.remove(self)
        front.serve(serverName: name, descriptor, visitor, bytes)
    }

    private func refuse(_ alert: [UInt8], _ refusal: VisitorRefusal, _ contract: ServedContract?) {
        front.count(refusal, contract)
        isRefused = true
        bytes = []
        _ = leg.write(alert.span)
        leg.shutdownWrite()
    }

    private func end(abort: Bool) {
        guard leg.isOpen else { return }
        if abort { leg.abort() } else { leg.close() }
        front.loop.remove(self)
        front.visitorLeft()
    }
}

extension Front {
    /// Serves a counted visitor whose server name was read; `hello` goes to the workload untouched.
    func serve(serverName name: [UInt8], _ descriptor: Int32, _ visitor: Visitor, _ hello: [UInt8]) {
        switch routes.permit(serverName: name, visitor: visitor.address, at: wall) {
        case .refused(let refusal, let contract):
            count(refusal, contract)
            Leg(adopting: descriptor, loop: loop).abort()
            visitorLeft()
        case .permitted(let permit):
            RawVisitor.serve(
                descriptor,
                permit,
                visitor,
                self,
                ahead: hello,
                describe: { $0.sni = String(decoding: name, as: UTF8.self) },
                retry: { front, descriptor, visitor in front.serve(serverName: name, descriptor, visitor, hello) }
            )
        }
    }

    /// Accepts visitors of a kind on this loop.
    private func listen(
        _ socket: ListeningSocket,
        isHTTP: Bool,
        _ serve: @escaping (Front, Leg, Visitor) throws(SocketError) -> Void
    ) throws(SocketError) -> Acceptor {
        let acceptor = try Acceptor(loop: loop, socket: socket) { [weak self] descriptor, peer in
            guard let self else { return Leg.closeUnserved(descriptor) }
            guard self.admitVisitor(descriptor, isHTTP: isHTTP) else { return }
            let leg = Leg(adopting: descriptor, loop: self.loop)
            do throws(SocketError) {
                guard let peer, let local = socket.localAddress(of: descriptor) else {
                    throw SocketError("getsockname", code: 0)
                }
                try serve(self, leg, Visitor(peer: peer, local: local))
            } catch {
                leg.abort()
                self.visitorLeft()
            }
        }
        acceptor.isPaused = !mayAccept
        return acceptor
    }

    /// Serves HTTP on a socket.
    func listenHTTP(_ socket: ListeningSocket) throws(SocketError) -> Acceptor {
        try listen(socket, isHTTP: true) { front, leg, visitor throws(SocketError) in
            _ = try HTTPConnection(leg: leg, visitor: visitor, front: front)
        }
    }

    /// Passes TLS through by server name on a socket.
    func listenTLS(_ socket: ListeningSocket) throws(SocketError) -> Acceptor {
        try listen(socket, isHTTP: false) { front, leg, visitor throws(SocketError) in
            _ = try ServerNameVisitor(leg: leg, visitor: visitor, front: front)
        }
    }
}
