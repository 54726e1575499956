/// How long a PING takes to the other end of a session and back. Pure; time is a parameter.
///
/// The kernel knows the round trip of its own connection only. Where something between the ends answers for the other, the path is
/// longer than that. A PING also waits behind the data of the session, so the smallest of some seconds counts, and one that is
/// too short to tell from that wait does not.
struct PathDelay: Sendable {
    /// Times below this are a matter of queues at both ends, in nanoseconds.
    static let shortest: UInt64 = 10_000_000
    private static let memory: UInt64 = 10_000_000_000
    private static let patience: UInt64 = 5_000_000_000

    private var asked: MonotonicNanoseconds?
    private var smallest: UInt64 = 0
    private var since: MonotonicNanoseconds = 0

    /// The round trip in nanoseconds; 0 when it is short, or not known.
    var roundTrip: UInt64 { smallest >= Self.shortest ? smallest : 0 }

    /// The number of the PING to send now; nil while one is on its way.
    mutating func ask(_ now: MonotonicNanoseconds) -> UInt64? {
        if let asked, now &- asked < Self.patience { return nil }
        asked = now
        return now
    }

    /// A PONG came. One that was not asked for says nothing.
    mutating func hear(_ number: UInt64, _ now: MonotonicNanoseconds) {
        guard let asked, asked == number, now >= asked else { return }
        self.asked = nil
        let time = now - asked
        if smallest == 0 || time < smallest || now &- since > Self.memory {
            smallest = time
            since = now
        }
    }
}
