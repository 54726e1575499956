/// A connection at the tunnel endpoint until its first bytes say what it is: a TLS session, or a data connection with its token.
/// Reads nothing of the former and exactly the preamble of the latter. Loop-owned.
final class TunnelArrival: Handler {
    private let leg: Leg
    private let peer: SocketAddress?
    /// Ends with the arrival, in seconds.
    private let server: TunnelServer
    private let since: MonotonicNanoseconds
    private var preamble: [UInt8] = []
    private var isKnown = false

    /// The same time that a TLS handshake has, in nanoseconds (5 s).
    private static let time: UInt64 = 5_000_000_000

    init(_ descriptor: Int32, _ peer: SocketAddress?, _ server: TunnelServer) throws(SocketError) {
        leg = Leg(adopting: descriptor, loop: server.loop)
        self.peer = peer
        self.server = server
        since = server.loop.now
        super.init()
        try leg.register(self)
    }

    override func ready(_ events: Events) {
        guard leg.isOpen else { return }
        guard leg.note(events), !events.contains(.failed) else { return end() }
        guard leg.canRead else { return }
        if !isKnown {
            switch leg.peek() {
            case .nothing: return
            case .end, .failed: return end()
            case .byte(let first):
                isKnown = true
                guard first == DataToken.magic[0] else {
                    return server.place(release(), peer, waited: server.loop.now &- since)
                }
            }
        }
        readPreamble()
    }

    private func readPreamble() {
        while leg.hasInput, preamble.count < DataToken.preambleLength {
            switch leg.read(limit: DataToken.preambleLength - preamble.count, { preamble.append(copying: $0) }) {
            case .bytes: continue
            case .again: return
            case .end, .failed: return end()
            }
        }
        guard preamble.count == DataToken.preambleLength else { return }
        let descriptor = release()
        if let token = DataToken(preamble: preamble), server.registry.present(token, descriptor) { return }
        Leg(adopting: descriptor, loop: server.loop).abort()
        server.refuseToken(of: peer)
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        guard now &- since >= Self.time else { return }
        server.countMute()
        end()
    }

    override func loopStops() { end() }

    private func release() -> Int32 {
        server.arrivals.remove(self, SourceLimit.Source(peer))
        let descriptor = leg.release()
        server.loop.remove(self)
        return descriptor
    }

    func end() {
        guard leg.isOpen else { return }
        server.arrivals.remove(self, SourceLimit.Source(peer))
        leg.abort()
        server.loop.remove(self)
    }
}

/// The arrivals of one endpoint and loop.
struct Arrivals {
    private var all: [ObjectIdentifier: TunnelArrival] = [:]
    private var counts: [SourceLimit.Source: Int] = [:]

    var count: Int { all.count }

    func count(of source: SourceLimit.Source?) -> Int { source.flatMap { counts[$0] } ?? 0 }

    mutating func add(_ arrival: TunnelArrival, _ source: SourceLimit.Source?) {
        all[ObjectIdentifier(arrival)] = arrival
        if let source { counts[source, default: 0] += 1 }
    }

    mutating func remove(_ arrival: TunnelArrival, _ source: SourceLimit.Source?) {
        guard all.removeValue(forKey: ObjectIdentifier(arrival)) != nil, let source, let count = counts[source] else {
            return
        }
        counts[source] = count > 1 ? count - 1 : nil
    }

    var everyone: [TunnelArrival] { Array(all.values) }
}

extension TunnelServer {
    /// A connection was accepted. What its source may do is asked when it is known what it wants; a source that wanted too much is
    /// not listened to, unless some data connection is expected, since its agent may be a neighbour of that source.
    func arrived(_ descriptor: Int32, _ peer: SocketAddress?) {
        let source = SourceLimit.Source(peer)
        if let source, handshakes.isUsedUp(source, now: loop.now), registry.desk.table.isEmpty {
            return refuse(descriptor, \.source)
        }
        guard arrivals.count(of: source) < limits.arrivalsOfOneSource else { return refuse(descriptor, \.source) }
        guard arrivals.count < limits.arrivals else { return refuse(descriptor, \.greetings) }
        guard let arrival = try? TunnelArrival(descriptor, peer, self) else { return }
        arrivals.add(arrival, source)
    }

    /// A connection wants to be a session: begins its handshake here, or on the loop whose turn it is.
    fileprivate func place(_ descriptor: Int32, _ peer: SocketAddress?, waited: UInt64) {
        if authority.passOn(descriptor, peer, from: self, waited: waited) { return }
        greet(descriptor, peer, waited: waited)
    }

    /// Closes a connection unanswered.
    func refuse(_ descriptor: Int32, _ reason: WritableKeyPath<TunnelRefusals, Int64>) {
        refusals[keyPath: reason] += 1
        Leg.closeUnserved(descriptor)
    }

    /// A data connection had no good token. It costs its source what a handshake would.
    func refuseToken(of peer: SocketAddress?) {
        refusals.tokens += 1
        if let source = SourceLimit.Source(peer) { _ = handshakes.admits(source, now: loop.now) }
    }
}
