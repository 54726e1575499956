extension Gateway {
    /// Takes another configuration while visitors are served: addresses that did not change, and everyone who came in by them, are
    /// left alone. On an error the configuration before stays in force.
    ///
    /// `node`, `transportKey`, `loops` and `admin` belong to the whole life of a gateway and are not looked at.
    public func reconfigure(_ configuration: GatewayConfiguration) throws(GatewayError) {
        let old = core.configuration
        let held = state.withLock { $0.listeners }
        let wanted = try bindListeners(configuration, except: held)
        let context: TLSContext
        do {
            context = try TLSContext(tunnel: .server, identity: identity)
        } catch {
            throw GatewayError("tunnel", reason: "\(error)")
        }
        var merged = old
        merged.http = configuration.http
        merged.https = configuration.https
        merged.tunnel = configuration.tunnel
        merged.ports = configuration.ports
        merged.limits = configuration.limits
        let taken = merged
        core.configuration = taken
        let limits = Self.tunnelLimits(taken)
        let closed = Set(held.keys).subtracting(wanted.keys)
        let opened = wanted.filter { held[$0.key] == nil }
        state.withLock { state in
            state.listeners = wanted
            state.bound = Self.bound(wanted, taken)
            for front in core.allFronts {
                front.submit { front in
                    front.take(taken.limits, tunnel: limits)
                    for key in closed { front.close(key) }
                    for (key, socket) in opened { try? front.listen(key, socket, context, limits) }
                }
            }
            if taken.ports != old.ports { movePorts(&state) }
        }
    }

    /// Leased ports go over to other local addresses; who came in by the old ones stays.
    private func movePorts(_ state: inout State) {
        state.closing = [:]
        let ports = state.ports.keys.sorted()
        state.ports = [:]
        for front in core.allFronts {
            front.submit { front in
                for port in ports { front.close(port: port) }
            }
        }
        for port in ports {
            // Those that cannot be opened are tried again every few seconds.
            guard openPort(port, &state), let sockets = state.ports[port] else { continue }
            for (place, front) in core.allFronts.enumerated() {
                front.submit { $0.open(port: port, sockets, place: place) }
            }
        }
    }

    /// Binds the configured addresses, of which some are open already.
    func bindListeners(
        _ configuration: GatewayConfiguration,
        except held: [ListenerKey: ListeningSocket]
    ) throws(GatewayError) -> [ListenerKey: ListeningSocket] {
        var sockets: [ListenerKey: ListeningSocket] = [:]
        for (kind, addresses) in [
            (ListenerKey.Kind.http, configuration.http), (.https, configuration.https), (.tunnel, configuration.tunnel),
        ] {
            for address in addresses {
                let key = ListenerKey(kind: kind, address: address)
                if let open = held[key] {
                    sockets[key] = open
                } else {
                    sockets[key] = try bind(kind.rawValue, [address])[0]
                }
            }
        }
        return sockets
    }

    static func bound(
        _ sockets: [ListenerKey: ListeningSocket],
        _ configuration: GatewayConfiguration
    ) -> BoundAddresses {
        func addresses(_ kind: ListenerKey.Kind, _ texts: [String]) -> [String] {
            texts.compactMap { sockets[ListenerKey(kind: kind, address: $0)]?.address.description }
        }
        var bound = BoundAddresses()
        bound.http = addresses(.http, configuration.http)
        bound.https = addresses(.https, configuration.https)
        bound.tunnel = addresses(.tunnel, configuration.tunnel)
        bound.admin = configuration.admin
        return bound
    }

    static func tunnelLimits(_ configuration: GatewayConfiguration) -> TunnelLimits {
        var limits = TunnelLimits()
        // Running streams are cut by their contract's own `drain`, of at most an hour; the session ends with the last of them.
        limits.drain = .seconds(3660)
        limits.handshakesPerSecond = configuration.limits.handshakesPerSecond
        limits.handshakeBurst = limits.handshakesPerSecond * 4
        limits.allHandshakesPerSecond = max(
            1,
            configuration.limits.allHandshakesPerSecond / max(1, configuration.loops)
        )
        limits.allHandshakesBurst = limits.allHandshakesPerSecond * 4
        return limits
    }
}

/// A listening socket that is not kept open by this.
struct WeakSocket {
    private(set) weak var socket: ListeningSocket?

    init(_ socket: ListeningSocket) { self.socket = socket }
}

extension Front {
    /// Serves a configured address on this loop.
    func listen(
        _ key: ListenerKey,
        _ socket: ListeningSocket,
        _ context: TLSContext,
        _ limits: TunnelLimits
    ) throws(SocketError) {
        guard !isDraining else { return }
        switch key.kind {
        case .http: listeners[key] = try listenHTTP(socket)
        case .https: listeners[key] = try listenTLS(socket)
        case .tunnel:
            let server = try TunnelServer(
                loop: loop,
                socket: socket,
                context: context,
                node: node,
                authority: self,
                registry: registry,
                limits: limits
            )
            server.key = key
            tunnels.append(server)
        }
    }

    /// Takes no more visitors or agents at an address; those who came in by it stay.
    func close(_ key: ListenerKey) {
        listeners.removeValue(forKey: key)?.close()
        for tunnel in tunnels where tunnel.key == key { tunnel.stopAccepting() }
    }
}
