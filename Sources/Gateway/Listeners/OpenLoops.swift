/// How many of a gateway's loops accept visitors: the first one, and one more whenever those are full. Pure; time is a parameter.
///
/// Visitors of one loop share records, writes and turns, and a loop that is never without work is not put to sleep and woken
/// again for each piece of it. So a second loop costs more than it gives until the first is full.
struct OpenLoops: Sendable {
    /// Thousandths of a processor from which on a loop is full.
    static let full = 700
    /// One loop less is enough when the others would have this much each.
    static let light = 400
    /// The number grows at once and shrinks after this.
    static let pause: UInt64 = 1_000_000_000

    private(set) var count = 1
    private var loads: [Int]
    private var changed: MonotonicNanoseconds

    init(loops: Int, now: MonotonicNanoseconds) {
        loads = Array(repeating: 0, count: loops)
        changed = now
    }

    /// Takes the load of the loop at a place; true when the number changed.
    mutating func take(_ load: Int, of place: Int, at now: MonotonicNanoseconds) -> Bool {
        guard loads.indices.contains(place) else { return false }
        loads[place] = load
        let open = loads[..<count]
        if count < loads.count, open.allSatisfy({ $0 >= Self.full }) {
            count += 1
        } else if count > 1, open.reduce(0, +) < Self.light * (count - 1), now >= changed &+ Self.pause {
            count -= 1
        } else {
            return false
        }
        changed = now
        return true
    }
}

extension Front {
    /// Tells the other loops how much this one has to do, and follows when the number of those that accept changes.
    func watchLoad() {
        loop.onLoad = { [weak self] load in
            guard let self, core.takeLoad(load, of: registry.place, at: loop.now) else { return }
            for place in core.allFronts.indices { _ = core.onFront(place) { $0.followOpenLoops() } }
        }
    }

    /// Accepts visitors, or leaves them to the loops before it.
    func followOpenLoops() {
        let mayAccept = mayAccept
        for acceptor in Array(listeners.values) + ports.values.joined() { acceptor.isPaused = !mayAccept }
        loop.stuck.limit = core.stuckLimit(of: registry.place)
    }

    /// Whether this loop is one of those that accept visitors.
    var mayAccept: Bool { registry.place < core.openLoops }
}
