internal import Contracts

/// What the loops of a gateway share. Every part is safe from any thread.
final class GatewayCore: Sendable {
    private let current: Lock<GatewayConfiguration>
    let clock = WallClock()
    /// Visitors over all loops.
    let visitors = SharedLoad()
    /// Datagrams that wait to be taken up by another loop.
    let passedDatagrams = SharedLoad()
    static let mostPassedDatagrams: Int64 = 1024
    /// What agents signed about their usage.
    let usageDesk = UsageDesk()
    /// What loops share of contracts: of every contract that was served, also after it ended, since it may come back and its last
    /// usage is still to be reported.
    let contracts = Lock([Identifier: SharedContract]())
    private let fronts = Lock([LoopBound<Front>]())
    private let turn = Lock(0)
    private let open: Lock<OpenLoops>

    init(_ configuration: GatewayConfiguration) {
        current = Lock(configuration)
        open = Lock(OpenLoops(loops: max(1, configuration.loops), now: monotonicNow()))
    }

    /// The configuration in force; loops keep what they need of it.
    var configuration: GatewayConfiguration {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }

    /// What loops share of one contract. A loop asks once, at the contract's first visitor there.
    func shared(_ id: Identifier) -> SharedContract {
        contracts.withLock { contracts in
            if let shared = contracts[id] { return shared }
            let shared = SharedContract()
            contracts[id] = shared
            return shared
        }
    }

    /// Sets the loops, once, before visitors come.
    func set(_ fronts: [LoopBound<Front>]) {
        self.fronts.withLock { $0 = fronts }
    }

    var allFronts: [LoopBound<Front>] { fronts.withLock { $0 } }

    /// How many loops, from the first on, accept visitors.
    var openLoops: Int { open.withLock { $0.count } }

    /// Takes the load of the loop at a place, in thousandths of a processor; true when the number of open loops changed.
    func takeLoad(_ load: Int, of place: Int, at now: MonotonicNanoseconds) -> Bool {
        open.withLock { $0.take(load, of: place, at: now) }
    }

    /// The part that the loop at a place has of the budget for stuck bytes: all loops share one half, those that accept visitors the other.
    func stuckLimit(of place: Int) -> Int {
        let configuration = configuration
        let (total, open) = (configuration.limits.stuckBytes, openLoops)
        let even = total / 2 / max(1, configuration.loops)
        return place < open ? even + (total - total / 2) / open : even
    }

    /// The place of the loop whose turn it is.
    func nextPlace() -> Int {
        let count = fronts.withLock { $0.count }
        guard count > 1 else { return 0 }
        return turn.withLock { turn in
            turn = (turn + 1) % count
            return turn
        }
    }

    /// Queues work for the loop at a place; false when it has stopped.
    func onFront(_ place: Int, _ body: @escaping @Sendable (Front) -> Void) -> Bool {
        let front = fronts.withLock { $0.indices.contains(place) ? $0[place] : nil }
        return front?.submit(body) ?? false
    }

    /// Asks every loop and calls `then` with the answers of those that run, on the thread of the last one.
    func gather<Answer: Sendable>(
        _ ask: @escaping @Sendable (Front) -> Answer,
        then: @escaping @Sendable ([Answer]) -> Void
    ) {
        let fronts = allFronts
        let gathering = Lock((missing: fronts.count, answers: [Answer]()))
        @Sendable func arrived(_ answer: Answer?) {
            let answers: [Answer]? = gathering.withLock { state in
                state.missing -= 1
                if let answer { state.answers.append(answer) }
                return state.missing == 0 ? state.answers : nil
            }
            if let answers { then(answers) }
        }
        if fronts.isEmpty { return then([]) }
        for front in fronts where !front.submit({ arrived(ask($0)) }) { arrived(nil) }
    }
}
