internal import Contracts

/// The sessions of one loop by contract and key, and what the other loops have. Loop-owned.
///
/// Loops tell each other of a session when it joins, changes or leaves, and once a second how many streams it carries: that
/// is all that choosing an agent needs, so a new stream asks no other thread.
final class SessionRegistry {
    /// A session of another loop, as far as this one must know it.
    struct Remote {
        let loop: Int
        let key: PublicKey
        let contracts: Set<Identifier>
        let unhealthy: Set<SessionBackend>
        /// As of about a second ago.
        var streams: Int

        func isHealthy(_ backend: SessionBackend) -> Bool { unhealthy.isEmpty || !unhealthy.contains(backend) }
    }

    private struct Own {
        let session: TunnelSession
        var contracts: Set<Identifier>
        var toldStreams = 0
    }

    private let loop: Loop
    /// The place of the loop in the group.
    let place: Int
    private let group: SessionGroup
    private var own: [ObjectIdentifier: Own] = [:]
    private var byKey: [PublicKey: [TunnelSession]] = [:]
    private var byContract: [Identifier: [TunnelSession]] = [:]
    private var remotes: [UInt64: Remote] = [:]
    /// Tokens of this loop's sessions.
    let desk: DataDesk
    private var remotesByContract: [Identifier: Set<UInt64>] = [:]
    /// Told of a contract whose number of sessions anywhere became zero, or is zero no more.
    var onPresence: ((Identifier, Bool) -> Void)?

    /// `index` is the loop's place in the group.
    init(loop: Loop, index: Int = 0, group: SessionGroup = SessionGroup()) {
        self.loop = loop
        place = index
        self.group = group
        desk = DataDesk(loop: loop, place: index, table: group.tokens)
    }

    // MARK: Asking

    /// Sessions of this loop.
    var sessions: [TunnelSession] { own.values.map(\.session) }

    /// Sessions of this loop that may take a stream of the contract, for the caller to balance over.
    func sessions(for contract: Identifier) -> [TunnelSession] {
        byContract[contract] ?? []
    }

    /// Sessions of other loops for the contract: to use one, hand the accepted descriptor to its loop.
    func remotes(for contract: Identifier) -> [Remote] {
        remotesByContract[contract]?.compactMap { remotes[$0] } ?? []
    }

    /// Whether a session anywhere in the process serves the contract.
    func isServed(_ contract: Identifier) -> Bool {
        byContract[contract] != nil || remotesByContract[contract] != nil
    }

    /// Hands a data connection to the session that its token belongs to, on whatever loop that is. False, and the descriptor is the
    /// caller's, for a token that is not good.
    func present(_ token: DataToken, _ descriptor: Int32) -> Bool {
        guard let place = group.tokens.take(token, at: loop.now) else { return false }
        if place == self.place {
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
        own[ObjectIdentifier(session)] = Own(session: session, contracts: [])
        byKey[session.key, default: []].append(session)
        list(session, session.contracts)
        announce(session)
    }

    /// The session's contracts, or what its agent says of their backends, changed.
    func changed(_ session: TunnelSession) {
        guard own[ObjectIdentifier(session)] != nil else { return }
        list(session, session.contracts)
        announce(session)
    }

    func leave(_ session: TunnelSession) {
        list(session, [])
        own[ObjectIdentifier(session)] = nil
        byKey[session.key]?.removeAll { $0 === session }
        if byKey[session.key]?.isEmpty == true { byKey[session.key] = nil }
        let order = session.order
        group.tellOthers(than: place) { $0.set(order, nil) }
    }

    private func list(_ session: TunnelSession, _ contracts: Set<Identifier>) {
        let id = ObjectIdentifier(session)
        let before = own[id]?.contracts ?? []
        own[id]?.contracts = contracts
        for contract in before.subtracting(contracts) {
            byContract[contract]?.removeAll { $0 === session }
            if byContract[contract]?.isEmpty == true { byContract[contract] = nil }
            if !isServed(contract) { onPresence?(contract, false) }
        }
        for contract in contracts.subtracting(before) {
            let wasServed = isServed(contract)
            byContract[contract, default: []].append(session)
            if !wasServed { onPresence?(contract, true) }
        }
    }

    private func supersede(key: PublicKey, instance: String, slot: Int64, before order: UInt64) {
        for session in byKey[key] ?? [] where session.order < order {
            if session.instance != instance {
                session.goAway(.superseded, drain: .seconds(10), "Another agent with the same key took over")
            } else if session.slot == slot {
                session.goAway(.superseded, drain: .zero, "A newer connection took this slot")
            }
        }
    }

    // MARK: Other loops

    private func announce(_ session: TunnelSession) {
        let remote = Remote(
            loop: place,
            key: session.key,
            contracts: session.contracts,
            unhealthy: session.unhealthy,
            streams: session.activeStreams
        )
        let (order, instance, slot) = (session.order, session.instance, session.slot)
        group.tellOthers(than: place) { registry in
            registry.set(order, remote)
            registry.supersede(key: remote.key, instance: instance, slot: slot, before: order)
        }
    }

    private func set(_ order: UInt64, _ remote: Remote?) {
        let before = remotes[order]?.contracts ?? []
        let after = remote?.contracts ?? []
        remotes[order] = remote
        for contract in before.subtracting(after) {
            remotesByContract[contract]?.remove(order)
            if remotesByContract[contract]?.isEmpty == true { remotesByContract[contract] = nil }
            if !isServed(contract) { onPresence?(contract, false) }
        }
        for contract in after.subtracting(before) {
            let wasServed = isServed(contract)
            remotesByContract[contract, default: []].insert(order)
            if !wasServed { onPresence?(contract, true) }
        }
    }

    /// About once a second: tells the other loops how busy the sessions of this one are.
    func tellStreams() {
        guard group.hasOthers else { return }
        var news: [(order: UInt64, streams: Int)] = []
        for (id, one) in own where one.session.activeStreams != one.toldStreams {
            own[id]?.toldStreams = one.session.activeStreams
            news.append((one.session.order, one.session.activeStreams))
        }
        guard !news.isEmpty else { return }
        let told = news
        group.tellOthers(than: place) { registry in
            for (order, streams) in told { registry.remotes[order]?.streams = streams }
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

    /// Whether there is more than one loop.
    var hasOthers: Bool { state.withLock { $0.registries.count > 1 } }

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
