internal import Contracts

/// When ledger time moves on (protocol.md 11). Pure.
enum TickSchedule {
    /// Farthest step of one tick, in seconds; a later one is coded `tick.far`.
    static let farthestStep: Int64 = 86_400
    /// Ticks in one batch after a very long pause; the next batch goes on.
    static let mostTicks = 1024

    /// Seconds between two ticks of this sequencer: the ledger's minimum, but never more often than once a minute.
    static func interval(minimum: Int64) -> Int64 { max(60, minimum) }

    /// The times of the ticks that are due, in order; none is later than the clock.
    ///
    /// - Parameters:
    ///   - now: ledger time.
    ///   - clock: this machine's time; one that was set back makes no tick due.
    ///   - minimum: least step of a tick on this ledger, in seconds.
    static func dueTicks(now: Timestamp, clock: Timestamp, minimum: Int64) -> [Timestamp] {
        guard clock - now >= interval(minimum: minimum) else { return [] }
        var ticks: [Timestamp] = []
        var time = now
        while clock - time > farthestStep, ticks.count < mostTicks {
            time += farthestStep
            ticks.append(time)
        }
        // A rest that is shorter than the minimum waits for the next turn.
        if ticks.count < mostTicks, clock - time >= minimum, clock > time { ticks.append(clock) }
        return ticks
    }
}
