/// A one-shot timer of a loop. Keep it to cancel it; dropping it does not cancel.
final class Timer {
    fileprivate var deadline: UInt64
    fileprivate var body: (() -> Void)?
    fileprivate var next: Timer?
    fileprivate var previous: Timer?
    fileprivate var slot: Int = -1
    fileprivate var wheel: TimerWheel?

    fileprivate init(deadline: UInt64, body: @escaping () -> Void) {
        self.deadline = deadline
        self.body = body
    }

    /// Cancels at once, whatever the timer holds is released. Harmless after it fired.
    func cancel() {
        body = nil
        wheel?.unlink(self)
    }
}

/// Hashed timer wheel of 512 slots of 100 ms: O(1) to set and to cancel. Times are rounded up to a slot.
final class TimerWheel {
    static let tick: UInt64 = 100_000_000
    private static let slots = 512
    private var heads = [Timer?](repeating: nil, count: slots)
    private var current: UInt64
    private(set) var count = 0

    init(now: MonotonicNanoseconds) {
        current = now / Self.tick
    }

    func add(at time: MonotonicNanoseconds, _ body: @escaping () -> Void) -> Timer {
        let deadline = max(current + 1, (time + Self.tick - 1) / Self.tick)
        let timer = Timer(deadline: deadline, body: body)
        let slot = Int(deadline % UInt64(Self.slots))
        timer.slot = slot
        timer.wheel = self
        timer.next = heads[slot]
        heads[slot]?.previous = timer
        heads[slot] = timer
        count += 1
        return timer
    }

    fileprivate func unlink(_ timer: Timer) {
        guard timer.slot >= 0 else { return }
        let following = timer.next
        following?.previous = timer.previous
        if let previous = timer.previous { previous.next = following } else { heads[timer.slot] = following }
        timer.next = nil
        timer.previous = nil
        timer.slot = -1
        timer.wheel = nil
        count -= 1
    }

    /// Drops every timer without firing it.
    func removeAll() {
        for slot in heads.indices {
            while let timer = heads[slot] {
                timer.body = nil
                unlink(timer)
            }
        }
    }

    /// Fires everything due at `now`.
    func advance(to now: MonotonicNanoseconds) {
        let target = now / Self.tick
        guard target > current else { return }
        guard count > 0 else {
            current = target
            return
        }
        let steps = min(target - current, UInt64(Self.slots))
        var due: [Timer] = []
        for step in 1...steps {
            var timer = heads[Int((current + step) % UInt64(Self.slots))]
            while let candidate = timer {
                timer = candidate.next
                if candidate.deadline <= target { due.append(candidate) }
            }
        }
        current = target
        for timer in due { unlink(timer) }
        due.sort { $0.deadline < $1.deadline }
        for timer in due {
            let body = timer.body
            timer.body = nil
            body?()
        }
    }

    /// Milliseconds until the next occupied slot; nil when no timer is set. May be early (a later round of the same slot).
    func timeout(from now: MonotonicNanoseconds) -> Int32? {
        guard count > 0 else { return nil }
        for step in 1...UInt64(Self.slots) where heads[Int((current + step) % UInt64(Self.slots))] != nil {
            let time = (current + step) * Self.tick
            return time <= now ? 0 : Int32((time - now + 999_999) / 1_000_000)
        }
        return 0
    }
}
