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
///
/// Timers that are due fire a few at a time: with ten thousand sessions a slot holds thousands, and what each does, a PING for
/// one, would together keep everything else of the loop waiting for many milliseconds.
final class TimerWheel {
    static let tick: UInt64 = 100_000_000
    /// Timers that one `advance` fires at most.
    static let mostAtOnce = 64
    private static let slots = 512
    private var heads = [Timer?](repeating: nil, count: slots)
    private var current: UInt64
    /// Timers that are set and not due yet.
    private(set) var count = 0
    /// Timers that are due and did not fire yet, the next one at `nextDue`.
    private var due: [Timer] = []
    private var nextDue = 0

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
        if let previous = timer.previous {
            previous.next = following
        } else {
            heads[timer.slot] = following
        }
        timer.next = nil
        timer.previous = nil
        timer.slot = -1
        timer.wheel = nil
        count -= 1
    }

    /// Drops every timer without firing it.
    func removeAll() {
        for timer in due { timer.body = nil }
        due = []
        nextDue = 0
        for slot in heads.indices {
            while let timer = heads[slot] {
                timer.body = nil
                unlink(timer)
            }
        }
    }

    /// Whether timers are due that did not fire yet.
    var hasDue: Bool { nextDue < due.count }

    /// Fires what is due at `now`, the earliest first, `mostAtOnce` at most; the next call fires more.
    func advance(to now: MonotonicNanoseconds) {
        let target = now / Self.tick
        if target > current { collect(until: target) }
        guard hasDue else { return }
        for _ in 0..<min(Self.mostAtOnce, due.count - nextDue) {
            let timer = due[nextDue]
            nextDue += 1
            let body = timer.body
            timer.body = nil
            body?()
            // A body may have dropped them all.
            guard hasDue else { break }
        }
        if !hasDue {
            due = []
            nextDue = 0
        } else if nextDue >= 1024 {
            due.removeFirst(nextDue)
            nextDue = 0
        }
    }

    private func collect(until target: UInt64) {
        let steps = min(target - current, UInt64(Self.slots))
        let first = due.count
        if count > 0 {
            for step in 1...steps {
                var timer = heads[Int((current + step) % UInt64(Self.slots))]
                while let candidate = timer {
                    timer = candidate.next
                    if candidate.deadline <= target { due.append(candidate) }
                }
            }
        }
        current = target
        for timer in due[first...] { unlink(timer) }
        if steps > 1 { due[first...].sort { $0.deadline < $1.deadline } }
    }

    /// Milliseconds until the next occupied slot, 0 while timers are due; nil when no timer is set. May be early (a later round of the
    /// same slot).
    func timeout(from now: MonotonicNanoseconds) -> Int32? {
        if hasDue { return 0 }
        guard count > 0 else { return nil }
        for step in 1...UInt64(Self.slots)
        where heads[Int((current + step) % UInt64(Self.slots))] != nil {
            let time = (current + step) * Self.tick
            return time <= now ? 0 : Int32((time - now + 999_999) / 1_000_000)
        }
        return 0
    }
}
