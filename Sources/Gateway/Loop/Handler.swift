/// What epoll said about a socket.
struct Events: OptionSet {
    let rawValue: UInt32

    static let readable = Events(rawValue: 0x001)
    static let writable = Events(rawValue: 0x004)
    static let failed = Events(rawValue: 0x008)
    static let hungUp = Events(rawValue: 0x010)
    static let peerFinished = Events(rawValue: 0x2000)
}

/// Anything registered with a loop. Every method is called on the loop's thread.
///
/// The loop owns a registered handler (one strong reference) until `Loop.remove`; the reference is dropped at the end of
/// the turn, so a handler may remove itself, or be removed by another, in the middle of a call.
class Handler {
    /// Place in the loop's table; -1 while not registered.
    final var place: Int32 = -1
    final var isInRunQueue = false
    final var isInFlushQueue = false

    /// The first (often only) socket has news. Edge-triggered: said once, so remember it (`Leg.note`).
    func ready(_ events: Events) {}

    /// The second socket of a pair has news.
    func readySecond(_ events: Events) {}

    /// Called in the run queue after `Loop.again(_:)`.
    func again() {}

    /// Called at the end of the turn after `Loop.later(_:)`.
    func flush() {}

    /// Called about once a second for every registered handler: deadlines and idle time are kept here, not in timers.
    func sweep(_ now: MonotonicNanoseconds) {}

    /// The loop stops: close every socket; the loop removes the handler itself.
    func loopStops() {}
}
