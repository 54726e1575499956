internal import NIOCore

/// A deadline that is moved with every request and hardly ever met. Loop-bound.
///
/// Moving it costs a comparison: the timer behind it is set again only for an earlier time than its own, and when it goes
/// off too early. Taking a timer back costs a search among the timers of all connections.
struct MovingDeadline {
    private var deadline: NIODeadline?
    private var timer: (time: NIODeadline, task: Scheduled<Void>)?

    /// - Parameter check: called on the loop at the deadline or before it; it has to ask `isOver`.
    mutating func move(
        to time: NIODeadline,
        on loop: any EventLoop,
        _ check: @autoclosure () -> @Sendable () -> Void
    ) {
        deadline = time
        if let timer {
            guard time < timer.time else { return }
            timer.task.cancel()
        }
        timer = (time, loop.scheduleTask(deadline: time, check()))
    }

    /// Takes the deadline back.
    mutating func clear() {
        deadline = nil
    }

    /// Ends the timer too.
    mutating func cancel() {
        deadline = nil
        timer?.task.cancel()
        timer = nil
    }

    /// For `check`: whether the deadline is reached; if it was moved, the timer is set for it.
    mutating func isOver(on loop: any EventLoop, _ check: @autoclosure () -> @Sendable () -> Void) -> Bool {
        timer = nil
        guard let deadline else { return false }
        if deadline <= .now() {
            self.deadline = nil
            return true
        }
        move(to: deadline, on: loop, check())
        return false
    }
}
