/// The sessions of one endpoint and loop for which no contract was admitted yet: agents that did not say HELLO, and those whose keys no contract
/// names. Their number has a bound of its own, so that they take no places from agents that are served. Loop-owned.
struct Strangers {
    private var all: [ObjectIdentifier: (session: TunnelSession, number: UInt64)] = [:]
    private var next: UInt64 = 0

    var count: Int { all.count }

    mutating func add(_ session: TunnelSession) {
        all[ObjectIdentifier(session)] = (session, next)
        next += 1
    }

    mutating func remove(_ session: TunnelSession) { all[ObjectIdentifier(session)] = nil }

    /// Takes out who has to make place for another agent: the oldest of those that were told that nothing of theirs is served here, or else the
    /// oldest of those that said nothing. An agent that says HELLO at once goes only after everybody before it.
    mutating func removeFirst() -> TunnelSession? {
        let first = all.values.min { Self.order($0.session, $0.number) < Self.order($1.session, $1.number) }
        guard let session = first?.session else { return nil }
        remove(session)
        return session
    }

    private static func order(_ session: TunnelSession, _ number: UInt64) -> (Int, UInt64) {
        (session.instance.isEmpty ? 1 : 0, number)
    }
}
