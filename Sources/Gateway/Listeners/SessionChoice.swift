internal import Contracts

/// A session of another loop that takes the next stream: the accepted descriptor is handed to that loop.
struct Elsewhere: Sendable {
    let loop: Int
    /// The agent that was chosen.
    let agent: PublicKey
}

/// Which session takes the next stream of a route.
enum SessionChoice {
    case own(TunnelSession)
    case elsewhere(Elsewhere)
    case none
}

extension Front {
    /// Loops that may pass a visitor on before it has to be served where it is.
    private static let mostHops = 2

    /// Chooses by balance among the agents that are connected to any loop, then the least busy session of the agent, of this
    /// loop if it has one. An agent that says that its workload is down is asked only when no other is left.
    func choose(for route: ServedRoute, _ visitor: Visitor) -> SessionChoice {
        let all = registry.sessions(for: route.contract.id)
        if let agent = visitor.agent, let session = session(of: agent, all) { return .own(session) }
        let backend = SessionBackend(contract: route.contract.id, expose: route.route.expose)
        if route.backends.count == 1, let session = session(of: route.backends[0].key, all, backend) {
            return .own(session)
        }
        let others = visitor.hops < Self.mostHops ? registry.remotes(for: route.contract.id) : []
        if all.isEmpty, others.isEmpty { return .none }
        for mustBeHealthy in [true, false] {
            let judge = mustBeHealthy ? backend : nil
            if route.backends.count == 1 {
                let key = route.backends[0].key
                if let session = session(of: key, all, judge) { return .own(session) }
                if let remote = remote(of: key, others, judge) { return .elsewhere(remote) }
            } else if let choice = balanced(route, visitor, all, others, judge) {
                return choice
            }
        }
        return .none
    }

    private func balanced(
        _ route: ServedRoute,
        _ visitor: Visitor,
        _ all: [TunnelSession],
        _ others: [SessionRegistry.Remote],
        _ judge: SessionBackend?
    ) -> SessionChoice? {
        var choices: [SessionChoice] = []
        var candidates: [(key: PublicKey, weight: Int64, streams: Int)] = []
        for (key, weight) in route.backends {
            if let session = session(of: key, all, judge) {
                choices.append(.own(session))
            } else if let remote = remote(of: key, others, judge) {
                choices.append(.elsewhere(remote))
            } else {
                continue
            }
            let own = all.reduce(0) { $1.key == key ? $0 + $1.activeStreams : $0 }
            candidates.append((key, weight, others.reduce(own) { $1.key == key ? $0 + $1.streams : $0 }))
        }
        return pick(candidates, of: route, for: visitor.address).map { choices[$0] }
    }

    /// The least busy open session of an agent; with `judge`, of those whose agent does not say that this backend is down.
    private func session(of key: PublicKey, _ all: [TunnelSession], _ judge: SessionBackend? = nil) -> TunnelSession? {
        var choice: TunnelSession?
        for session in all where session.key == key && session.isOpen && !session.isDraining {
            if let judge, !session.isHealthy(judge) { continue }
            if choice.map({ session.activeStreams < $0.activeStreams }) ?? true { choice = session }
        }
        return choice
    }

    private func remote(
        of key: PublicKey,
        _ others: [SessionRegistry.Remote],
        _ judge: SessionBackend?
    ) -> Elsewhere? {
        others.filter { $0.key == key && (judge.map($0.isHealthy) ?? true) }
            .min { $0.streams < $1.streams }
            .map { Elsewhere(loop: $0.loop, agent: key) }
    }
}
