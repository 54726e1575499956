internal import Contracts

extension OverlaySubject: BalancedKey {
    var bytes: [UInt8] { Array(address.description.utf8) }
}

/// What one loop knows of the workloads that it dials: where they stand, who could not be reached lately, and who is busy. Loop-owned.
final class OverlayBackends {
    /// Seconds for which a backend that could not be reached is left out, unless a look finds it sooner.
    private static let leftOut: UInt64 = 10_000_000_000

    /// Looks after the proofs; on the gateway's first loop only.
    var desk: OverlayDesk?

    private var standings: [OverlaySubject: OverlayStanding] = [:]
    private var unreachable: [OverlaySubject: MonotonicNanoseconds] = [:]
    private var streams: [OverlaySubject: Int] = [:]
    private var balancers: [RouteKey: WeightedBalancer<OverlaySubject>] = [:]

    /// Takes where all backends stand; returns the contracts of those that stand otherwise than before.
    func take(_ news: [OverlaySubject: OverlayStanding]) -> Set<Identifier> {
        let changed = Set(news.keys).union(standings.keys).filter { news[$0] != standings[$0] }
        for subject in changed where news[subject] == .proven { unreachable[subject] = nil }
        standings = news
        unreachable = unreachable.filter { news[$0.key] != nil }
        return Set(changed.map(\.contract))
    }

    /// Drops what belongs to routes that are gone.
    func keep(_ isServed: (RouteKey) -> Bool) { balancers = balancers.filter { isServed($0.key) } }

    /// Whether a workload of a route may be used: agents always, backends that are dialed as long as their proof holds.
    func holds(_ route: ServedRoute, _ target: Backend.Target) -> Bool {
        guard case .address(let text) = target else { return true }
        return route.overlay.contains { backend in
            standings[backend.subject]?.isProven == true
                && backend.subject.address.description.utf8.elementsEqual(text.utf8)
        }
    }

    /// The backend that takes the next stream of a route; nil when none has a proof.
    ///
    /// Backends that did not answer lately are asked only when no other is left.
    func pick(_ route: ServedRoute, visitor: IPAddress?, at now: MonotonicNanoseconds) -> OverlayBackend? {
        let proven = route.overlay.filter { standings[$0.subject]?.isProven == true }
        let lively = proven.filter { backend in
            standings[backend.subject] == .proven && unreachable[backend.subject].map { $0 <= now } ?? true
        }
        let choice = lively.isEmpty ? proven : lively
        if choice.count <= 1 { return choice.first }
        var balancer = balancers[route.key] ?? WeightedBalancer()
        let candidates = choice.map { (key: $0.subject, weight: $0.weight, streams: streams[$0.subject] ?? 0) }
        let place = balancer.pick(candidates, route.route.balance, visitor: visitor)
        balancers[route.key] = balancer
        return place.map { choice[$0] }
    }

    // MARK: Streams

    func entered(_ subject: OverlaySubject) { streams[subject, default: 0] += 1 }

    func left(_ subject: OverlaySubject) {
        let count = (streams[subject] ?? 1) - 1
        streams[subject] = count > 0 ? count : nil
    }

    /// A connection to the backend could not be made.
    func missed(_ subject: OverlaySubject, at now: MonotonicNanoseconds) {
        guard standings[subject] != nil else { return }
        unreachable[subject] = now &+ Self.leftOut
    }
}
