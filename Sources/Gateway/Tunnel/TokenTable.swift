/// The tokens of a gateway that were issued and not used, with the loop whose session each belongs to. A data connection may be
/// accepted by any loop. Asked once for each data connection, never for a byte.
final class TokenTable: Sendable {
    private struct Issue {
        let place: Int
        let expires: MonotonicNanoseconds
    }

    private let issues = Lock([DataToken: Issue]())

    /// Nobody is expected to show a token.
    var isEmpty: Bool { issues.withLock { $0.isEmpty } }

    func add(_ token: DataToken, place: Int, expires: MonotonicNanoseconds) {
        issues.withLock { $0[token] = Issue(place: place, expires: expires) }
    }

    /// Uses a token up; nil for one that was never issued, was used, is over, or died with its session.
    func take(_ token: DataToken, at now: MonotonicNanoseconds) -> Int? {
        guard let issue = issues.withLock({ $0.removeValue(forKey: token) }), now < issue.expires else { return nil }
        return issue.place
    }

    func remove(_ tokens: some Sequence<DataToken>) {
        issues.withLock { issues in
            for token in tokens { issues[token] = nil }
        }
    }
}

/// What one loop expects of the tokens of its sessions. Loop-owned.
final class DataDesk {
    let loop: Loop
    let table: TokenTable
    private let place: Int
    /// Connections that wait for a visitor, of all sessions of the loop.
    var spareCount = 0
    /// A spare connection costs a descriptor here and one at the agent: a gateway with thousands of agents keeps few.
    static let mostSpare = 1024
    private var expected: [DataToken: DataLines] = [:]
    /// In the order of their end.
    private var queue: [(token: DataToken, expires: MonotonicNanoseconds)] = []
    private var timer: Timer?

    init(loop: Loop, place: Int, table: TokenTable) {
        self.loop = loop
        self.place = place
        self.table = table
    }

    func issue(for lines: DataLines) -> DataToken {
        let token = DataToken.random()
        let expires = loop.now &+ DataToken.lifetime
        expected[token] = lines
        queue.append((token, expires))
        table.add(token, place: place, expires: expires)
        if timer == nil { setTimer() }
        return token
    }

    /// Nobody shows these any more.
    func revoke(_ tokens: some Sequence<DataToken>) {
        for token in tokens { expected[token] = nil }
        table.remove(tokens)
    }

    /// A connection showed a token that the table had, on this loop or another. Owns the descriptor.
    func deliver(_ token: DataToken, _ descriptor: Int32) {
        guard let lines = expected.removeValue(forKey: token) else { return Leg.closeUnserved(descriptor) }
        lines.take(token, Leg(adopting: descriptor, loop: loop))
    }

    private func setTimer() {
        guard let first = queue.first else { return }
        let wait = Duration.nanoseconds(Int64(clamping: first.expires > loop.now ? first.expires - loop.now : 0))
        timer = loop.after(wait) { [weak self] in self?.expire() }
    }

    private func expire() {
        timer = nil
        let count = queue.firstIndex { $0.expires > loop.now } ?? queue.count
        for (token, _) in queue.prefix(count) {
            guard let lines = expected.removeValue(forKey: token) else { continue }
            table.remove([token])
            lines.expired(token)
        }
        queue.removeFirst(count)
        setTimer()
    }
}
