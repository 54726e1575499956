extension Front {
    /// Loops take agents' sessions in turn. Where the kernel chooses, both sessions of an agent are often on one loop, and every
    /// visitor that another loop accepts has to be handed over.
    func passOn(_ descriptor: Int32, _ peer: SocketAddress?, from server: TunnelServer, waited: UInt64) -> Bool {
        let place = core.nextPlace()
        guard place != registry.place, let key = server.key else { return false }
        return core.onFront(place) { front in
            guard let server = front.tunnels.first(where: { $0.key == key && $0.isAccepting }) else {
                return Leg.closeUnserved(descriptor)
            }
            server.greet(descriptor, peer, waited: waited)
        }
    }
}
