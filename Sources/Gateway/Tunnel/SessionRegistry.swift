internal import Contracts

/// The sessions of one loop by contract, and what the other loops have. Loop-owned.
final class SessionRegistry {
    /// A session of another loop, as far as this one must know it.
    private struct Remote {
        let loop: Int
        let key: PublicKey
        let contracts: Set<Identifier>
    }

    private let loop: Loop
    private let index: Int
    private let group: SessionGroup
    private(set) var sessions: [TunnelSession] = []
    private var byContract: [Identifier: [TunnelSession]] = [:]
    private var remotes: [UInt64: Remote] = [:]
    /// Tokens of this loop's sessions.
    let desk: DataDesk

    /// `index` is the loop's place in the group.
    init(loop: Loop, index: Int = 0, group: SessionGroup = SessionGroup()) {
        self.loop = loop
        self.index = index
        self.group = group
        desk = DataDesk(loop: loop, place: index, table: group.tokens)
    }

    // MARK: Asking

    /// Sessions of this loop that may take a stream of the contract, for the caller to balance over.
    func sessions(for contract: Identifier) -> [TunnelSession] {
        byContract[contract] ?? []
    }

    /// Another loop that has a session for the contract with one of the keys: hand the accepted descriptor to it.
    func loop(for contract: Identifier, backendKeys: [PublicKey]) -> Int? {
        for remote in remotes.values
        where remote.contracts.contains(contract) && backendKeys.contains(remote.key) {
            return remote.loop
        }
        return nil
    }

    /// Sessions anywhere in the process that serve the contract.
    func sessionCount(for contract: Identifier) -> Int {
        (byContract[contract]?.count ?? 0) + remotes.values.count { $0.contracts.contains(contract) }
    }

    /// Hands a data connection to the session that its token belongs to, on whatever loop that is. False, and the descriptor is the
    /// caller's, for a token that is not good.
    func present(_ token: DataToken, _ descriptor: Int32) -> Bool {
        guard let place = group.tokens.take(token, at: loop.now) else { return false }
        if place == index {
            desk.deliver(token, descriptor)
        } else if !group.tell(place, { $0.desk.deliver(token, descriptor) }) {
            Leg.closeUnserved(descriptor)
        }
        return true
    }

    // MARK: Joining and leaving

    /// Adds a session. Of the same key, an older one in the same instance and slot ends at once, and older ones of other
    /// instances give way: the newest wins, on every loop.
    func join(_ session: TunnelSession) {
        session.order = group.nextOrder()
        supersede(
            key: session.key,
            instance: session.instance,
            slot: session.slot,
            before: session.order
        )
        sessions.append(session)
        for contract in session.contracts { byContract[contract, default: []].append(session) }
        announce(session)
    }

    /// The session's contracts changed.
    func changed(_ session: TunnelSession) {
        unlist(session)
        for contract in session.contracts { byContract[contract, default: []].append(session) }
        announce(session)
    }

    func leave(_ session: TunnelSession) {
        sessions.removeAll { $0 === session }
        unlist(session)
        let order = session.order
        group.tellOthers(than: index) { $0.remotes[order] = nil }
    }

    private func unlist(_ session: TunnelSession) {
        for (contract, listed) in byContract where listed.contains(where: { $0 === session }) {
            let rest = listed.filter { $0 !== session }
            byContract[contract] = rest.isEmpty ? nil : rest
        }
    }

    private func announce(_ session: TunnelSession) {
        let remote = Remote(loop: index, key: session.key, contracts: session.contracts)
        let (order, instance, slot) = (session.order, session.instance, session.slot)
        group.tellOthers(than: index) { registry in
            registry.remotes[order] = remote
            registry.supersede(key: remote.key, instance: instance, slot: slot, before: order)
        }
    }

    private func supersede(key: PublicKey, instance: String, slot: Int64, before order: UInt64) {
        for session in sessions where session.key == key && session.order < order {
            if session.instance != instance {
                session.goAway(.superseded, drain: .seconds(10), "Another agent with the same key took over")
            } else if session.slot == slot {
                session.goAway(.superseded, drain: .zero, "A newer connection took this slot")
            }
        }
    }
}

/// The registries of all loops of one gateway.
final class SessionGroup: Sendable {
    private let state = Lock((order: UInt64(0), registries: [LoopBound<SessionRegistry>]()))
    let tokens = TokenTable()

    /// Adds the registries in the order of their index, once, before visitors come.
    func set(_ registries: [LoopBound<SessionRegistry>]) {
        state.withLock { $0.registries = registries }
    }

    func nextOrder() -> UInt64 {
        state.withLock {
            $0.order += 1
            return $0.order
        }
    }

    /// Queues work for the registry at a place; false when its loop has stopped.
    func tell(_ place: Int, _ message: @escaping @Sendable (SessionRegistry) -> Void) -> Bool {
        let registry = state.withLock { $0.registries.indices.contains(place) ? $0.registries[place] : nil }
        return registry?.submit(message) ?? false
    }

    func tellOthers(than index: Int, _ message: @escaping @Sendable (SessionRegistry) -> Void) {
        let registries = state.withLock { $0.registries }
        for (place, registry) in registries.enumerated() where place != index { registry.submit(message) }
    }
}
