internal import Contracts

extension Front {
    /// Opens a leased port on this loop. Other loops accept from the same listening sockets, and have UDP sockets of their own.
    func open(port: LeasedPort, _ sockets: PortSockets, place: Int) {
        guard !isDraining else { return }
        if port.isDatagram {
            open(datagrams: port, sockets.datagrams.indices.contains(place) ? sockets.datagrams[place] : [])
        } else {
            open(connections: port, sockets.listening)
        }
    }

    func close(port: LeasedPort) {
        for acceptor in ports.removeValue(forKey: port) ?? [] { acceptor.close() }
        for socket in datagramPorts[port] ?? [] { socket.close() }
    }

    private func open(connections port: LeasedPort, _ sockets: [ListeningSocket]) {
        guard ports[port] == nil else { return }
        let acceptors = sockets.compactMap { socket in
            try? Acceptor(loop: loop, socket: socket) { [weak self] descriptor, peer in
                guard let self else { return Leg.closeUnserved(descriptor) }
                guard self.admitVisitor(descriptor) else { return }
                guard let peer, let local = socket.localAddress(of: descriptor) else {
                    Leg(adopting: descriptor, loop: self.loop).abort()
                    return self.visitorLeft()
                }
                self.servePort(descriptor, Visitor(peer: peer, local: local), port)
            }
        }
        for acceptor in acceptors { acceptor.isPaused = !mayAccept }
        ports[port] = acceptors
    }

    /// Serves a counted visitor of a leased port.
    private func servePort(_ descriptor: Int32, _ visitor: Visitor, _ port: LeasedPort) {
        switch routes.permit(port: port, visitor: visitor.address, at: wall) {
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
                ahead: [],
                describe: { $0.port = Int64(port.number) },
                retry: { front, descriptor, visitor in front.servePort(descriptor, visitor, port) }
            )
        }
    }

    // MARK: Datagrams

    private func open(datagrams port: LeasedPort, _ descriptors: [DatagramDescriptor]) {
        for old in datagramPorts[port] ?? [] { old.close() }
        datagramPorts[port, default: []] += descriptors.compactMap {
            try? DatagramPort($0, port: port, front: self)
        }
    }

    func forget(_ ended: DatagramPort) {
        datagramPorts[ended.port]?.removeAll { $0 === ended }
        if datagramPorts[ended.port]?.isEmpty == true { datagramPorts[ended.port] = nil }
    }

    /// Passes a datagram to the loop whose agent serves it; drops it when that loop has many waiting.
    func pass(_ bytes: Span<UInt8>, _ visitor: Visitor, _ port: LeasedPort, to place: Elsewhere) {
        var copy: [UInt8] = []
        copy.append(copying: bytes)
        let (datagram, visitor) = (copy, visitor.passedOn(to: place.agent))
        passOn(to: place.loop) { front in
            let ports = front.datagramPorts[port] ?? []
            ports.first { $0.address == visitor.local }?.take(datagram.span, visitor)
        }
    }
}

/// The sockets of a leased port that is open.
struct PortSockets: Sendable {
    /// Of a TCP port: one for each address, shared by the loops.
    var listening: [ListeningSocket] = []
    /// Of a UDP port: for each loop, one for each address.
    var datagrams: [[DatagramDescriptor]] = []
}
