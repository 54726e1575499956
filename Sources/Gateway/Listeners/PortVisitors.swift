internal import Contracts

extension Front {
    /// Opens a leased port on this loop; other loops accept from the same sockets.
    func open(port: UInt16, _ sockets: [ListeningSocket]) {
        guard ports[port] == nil, !isDraining else { return }
        ports[port] = sockets.compactMap { socket in
            try? Acceptor(loop: loop, socket: socket) { [weak self] descriptor, peer in
                guard let self else { return Leg.closeUnserved(descriptor) }
                guard self.admitVisitor(descriptor) else { return }
                let leg = Leg(adopting: descriptor, loop: self.loop)
                guard let peer, let local = leg.localAddress else {
                    leg.abort()
                    return self.visitorLeft()
                }
                self.servePort(leg.release(), Visitor(peer: peer, local: local), port)
            }
        }
    }

    func close(port: UInt16) {
        for acceptor in ports.removeValue(forKey: port) ?? [] { acceptor.close() }
    }

    /// Serves a counted visitor of a leased port.
    private func servePort(_ descriptor: Int32, _ visitor: Visitor, _ port: UInt16) {
        switch index.permit(port: port, visitor: visitor.address, at: wall) {
        case .refused(let refusal, let contract):
            count(refusal, contract)
            Leg(adopting: descriptor, loop: loop).abort()
            visitorLeft()
        case .permitted(let permit):
            let next = visitor.passedOn
            RawVisitor.serve(
                descriptor,
                permit,
                visitor,
                self,
                ahead: [],
                describe: { $0.port = Int64(port) },
                retry: { front, descriptor in front.servePort(descriptor, next, port) }
            )
        }
    }
}
