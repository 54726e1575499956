internal import Contracts

/// Why a visitor is not let in.
public enum VisitorRefusal: String, Hashable, Sendable, CaseIterable {
    /// No contract serves the host, path or port here.
    case unknown
    /// The visitor's address is denied or not allowed.
    case denied
    /// The contract is in its grace period.
    case grace
    case suspended
    case suspendedByLaw
    /// The contract's window has not begun or is over.
    case ended
    /// The verified state is older than the contract allows.
    case stale
    /// The target reads as another route once it is normalised.
    case ambiguous
    /// No agent of the contract is connected, or none of its overlay backends answers.
    case noAgent
    /// No overlay backend of the contract has proven that it belongs to it.
    case unproven
    /// The contract's or the gateway's limit of connections.
    case limit
    /// The contract's rate of new connections.
    case rate
    /// The contract has used up the bytes of its period.
    case quota
    /// The gateway holds too many bytes for those who do not read.
    case overload
    /// The visitor sent or took its bytes too slowly.
    case slow
    /// One source asked for too many names that nobody serves.
    case flood
    /// The workload refused the connection.
    case refusedByWorkload
    /// The workload did not answer in time.
    case silentWorkload
    /// The workload's answer was malformed.
    case malformedAnswer
    /// What the visitor sent was malformed, too large or too slow.
    case malformed
}

/// The proof that the current table allowed a route at a time. Only `RoutesInForce` makes one, and whoever opens a stream or
/// forwards a request asks for a fresh one.
struct Permit: Sendable {
    let route: ServedRoute

    fileprivate init(_ route: ServedRoute) { self.route = route }
}

/// The answer to a question about a host, a port or a running flow.
enum Decision {
    case permitted(Permit)
    /// The contract is nil when none serves the place.
    case refused(VisitorRefusal, ServedContract?)
}

extension RoutesInForce {
    /// May a visitor send a request for this host and path?
    func permit(
        host bytes: Span<UInt8>,
        _ host: Range<Int>,
        path: Range<Int>,
        visitor: IPAddress?,
        at now: Timestamp
    ) -> Decision {
        guard let paths = http.lookUp(bytes, host) else { return .refused(.unknown, nil) }
        if let route = paths.whole { return decide(route, visitor, now) }
        let route = paths.lookUp(bytes, path)
        if NormalizedPath.isNeeded(bytes, path) {
            let normalized = NormalizedPath.of(bytes, path)
            let other = paths.lookUp(normalized.span, 0..<normalized.count)
            guard other === route else { return .refused(.ambiguous, route?.contract) }
        }
        return decide(route, visitor, now)
    }

    /// May a visitor open a connection for this server name?
    func permit(serverName name: [UInt8], visitor: IPAddress?, at now: Timestamp) -> Decision {
        decide(tls.lookUp(name.span, 0..<name.count), visitor, now)
    }

    /// May a visitor open a connection, or a flow of datagrams, to this leased port?
    func permit(port: LeasedPort, visitor: IPAddress?, at now: Timestamp) -> Decision {
        decide(index.route(port), visitor, now)
    }

    /// May a flow that was permitted before, and runs to this agent, go on?
    func renew(_ key: RouteKey, agent: PublicKey, visitor: IPAddress?, at now: Timestamp) -> Decision {
        renew(key, backend: .key(agent), visitor: visitor, at: now)
    }

    /// May a flow that was permitted before, and runs to this workload, go on?
    func renew(_ key: RouteKey, backend: Backend.Target, visitor: IPAddress?, at now: Timestamp) -> Decision {
        let decision = decide(index.route(key), visitor, now)
        guard case .permitted(let permit) = decision else { return decision }
        guard permit.route.has(backend) else {
            return .refused(.unknown, permit.route.contract)
        }
        return decision
    }

    @inline(__always)
    private func decide(_ route: ServedRoute?, _ visitor: IPAddress?, _ now: Timestamp) -> Decision {
        guard let route else { return .refused(.unknown, nil) }
        let age = quorumTime.map { max(0, now + clockLag - $0) }
        if let refusal = route.terms.refusal(at: now + clockLag, age: age) {
            return .refused(refusal, route.contract)
        }
        guard route.admits(visitor) else { return .refused(.denied, route.contract) }
        return .permitted(Permit(route))
    }
}
