/// Two legs and the flows between them. Half-close is preserved both ways; an abort of one side aborts the other.
final class Link: Handler {
    private let loop: Loop
    private let first: Leg
    private let second: Leg
    private var forward = Flow()
    private var backward = Flow()
    private let onEnd: () -> Void

    /// Joins two legs of one loop and registers them.
    init(_ first: Leg, _ second: Leg, onEnd: @escaping () -> Void = {}) throws(SocketError) {
        loop = first.loop
        self.first = first
        self.second = second
        self.onEnd = onEnd
        super.init()
        try first.register(self)
        do throws(SocketError) {
            try second.register(self, second: true)
        } catch {
            first.abort()
            loop.remove(self)
            throw error
        }
    }

    override func ready(_ events: Events) {
        guard first.note(events) else { return end(abort: true) }
        pump()
    }

    override func readySecond(_ events: Events) {
        guard second.note(events) else { return end(abort: true) }
        pump()
    }

    override func again() { pump() }
    override func loopStops() { end(abort: false) }

    private func pump() {
        guard first.isOpen else { return }
        let there = forward.pump(from: first, to: second)
        let back = backward.pump(from: second, to: first)
        switch (there, back) {
        case (.broken, _), (_, .broken): end(abort: true)
        case (.finished, .finished): end(abort: false)
        case (.again, _), (_, .again): loop.again(self)
        default: break
        }
    }

    private func end(abort: Bool) {
        guard first.isOpen else { return }
        forward.close(loop)
        backward.close(loop)
        if abort {
            first.abort()
            second.abort()
        } else {
            first.close()
            second.close()
        }
        loop.remove(self)
        onEnd()
    }
}
