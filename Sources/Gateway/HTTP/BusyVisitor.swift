/// An http visitor beyond the gateway's limit: told 503 at once, whatever it asks for, and let go. Loop-owned.
///
/// Few of them are kept, for a moment each, so that the answer is not lost to a reset; more are reset.
final class BusyVisitor: Handler {
    /// At once on one loop.
    static let most = 256
    /// Bytes thrown away at most.
    private static let mostBytes = 64 << 10

    private let leg: Leg
    private let front: Front
    private let since: MonotonicNanoseconds
    private var discarded = 0

    init(leg: Leg, front: Front) throws(SocketError) {
        self.leg = leg
        self.front = front
        since = front.loop.now
        super.init()
        try leg.register(self)
        front.busyVisitors += 1
        var answer: [UInt8] = []
        Failure.overloaded.append(toHead: false, keepsAlive: false, minor: 1, to: &answer)
        _ = leg.write(answer.span)
        leg.shutdownWrite()
    }

    override func ready(_ events: Events) {
        guard leg.isOpen else { return }
        guard leg.note(events), !events.contains(.failed) else { return end(abort: true) }
        while leg.isOpen, leg.hasInput {
            switch leg.read(limit: Self.mostBytes, { discarded += $0.count }) {
            case .bytes: if discarded > Self.mostBytes { return end(abort: true) }
            case .again: return
            case .end, .failed: return end(abort: false)
            }
        }
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        if now &- since >= UInt64(front.limits.lingerSeconds) * 1_000_000_000 { end(abort: true) }
    }

    override func loopStops() { end(abort: true) }

    private func end(abort: Bool) {
        guard leg.isOpen else { return }
        if abort { leg.abort() } else { leg.close() }
        front.busyVisitors -= 1
        front.loop.remove(self)
    }
}
