/// The data connections of one session on the gateway: some are made ahead, so that a visitor finds one that stands. Loop-owned.
///
/// The number made ahead grows with the visitors that found none, and falls again when there were enough.
final class DataLines {
    private let desk: DataDesk
    /// Sends TOKEN over the session.
    private let tell: (StreamToken) -> Void
    /// Visitors that wait for the connection of a token.
    private var waiting: [DataToken: Link] = [:]
    /// Tokens of connections that are being made ahead.
    private var ordered: Set<DataToken> = []
    /// Connections that wait for a visitor; the newest last.
    private var spare: [(token: DataToken, link: Link)] = []
    private var wanted = 0
    /// Visitors that found no spare connection since the last review.
    private var misses = 0
    private var review: Timer?
    /// The agent did not make what was asked for, or closed it: nothing is made ahead until then.
    private var pausedUntil: MonotonicNanoseconds = 0
    /// How long nothing is made ahead after the next order that comes to nothing; doubles with each of them, until one is carried out.
    private var pause = shortestPause

    /// Connections made ahead for a session that had no visitors yet, and for one that has many.
    static let fewest = 2
    static let most = 64
    private static let reviewTime: Duration = .seconds(30)
    private static let shortestPause: UInt64 = 1_000_000_000
    private static let longestPause: UInt64 = 30_000_000_000

    init(desk: DataDesk, tell: @escaping (StreamToken) -> Void) {
        self.desk = desk
        self.tell = tell
    }

    /// Connections that wait for a visitor.
    var spareCount: Int { spare.count }

    /// Says whether the session serves a contract whose visitors need data connections.
    func setWanted(_ isWanted: Bool) {
        guard isWanted != (wanted > 0) else { return }
        wanted = isWanted ? Self.fewest : 0
        if isWanted { refill() } else { close() }
    }

    /// The link of a stream that was just opened, for its visitor to join: with a connection that stands, or one that will come. The
    /// agent is told which.
    func link(for stream: Stream) -> Link {
        while let (token, link) = spare.popLast() {
            desk.spareCount -= 1
            guard !link.isClosed else { continue }
            tell(StreamToken(stream: stream.id, token: token))
            refill()
            return link
        }
        let link = Link(loop: desk.loop)
        let token = desk.issue(for: self)
        waiting[token] = link
        tell(StreamToken(stream: stream.id, token: token))
        if wanted > 0 {
            misses += 1
            wanted = min(Self.most, wanted * 2)
            refill()
        }
        return link
    }

    /// A connection came with a token of this session.
    func take(_ token: DataToken, _ leg: Leg) {
        if let link = waiting.removeValue(forKey: token) {
            do throws(SocketError) { try link.join(far: leg) } catch { link.close(abort: true) }
            return
        }
        guard ordered.remove(token) != nil else { return leg.abort() }
        pause = Self.shortestPause
        guard spare.count < wanted else { return leg.abort() }
        let link = Link(loop: desk.loop)
        do throws(SocketError) { try link.join(far: leg) } catch { return link.close(abort: true) }
        link.begin(nil) { [weak self, weak link] _ in
            guard let self, let link else { return }
            self.lost(link)
        }
        spare.append((token, link))
        desk.spareCount += 1
    }

    /// Nobody showed the token in time. A visitor that waits for it is ended by its link.
    func expired(_ token: DataToken) {
        waiting[token] = nil
        // What was ordered at one time fails at one time, and counts once.
        guard ordered.remove(token) != nil, desk.loop.now >= pausedUntil else { return }
        rest(pause)
        pause = min(2 * pause, Self.longestPause)
    }

    /// Takes no more connections ahead, and closes those that wait. Visitors that are joined stay.
    func close() {
        wanted = 0
        review?.cancel()
        review = nil
        desk.revoke(ordered)
        ordered = []
        drop(downTo: 0)
    }

    /// The session is over: nothing that was promised comes any more.
    func end() {
        close()
        desk.revoke(waiting.keys)
        waiting = [:]
    }

    private func lost(_ link: Link) {
        let before = spare.count
        spare.removeAll { $0.link === link }
        desk.spareCount -= before - spare.count
        // An agent that closes what it made is not asked again at once.
        rest(Self.shortestPause)
    }

    /// Makes nothing ahead for so many nanoseconds, then what is missing.
    private func rest(_ time: UInt64) {
        pausedUntil = max(pausedUntil, desk.loop.now &+ time)
        desk.loop.after(.nanoseconds(Int64(time))) { [weak self] in self?.refill() }
    }

    private func refill() {
        guard wanted > 0, desk.loop.now >= pausedUntil else { return }
        while spare.count + ordered.count < wanted, desk.spareCount + ordered.count < DataDesk.mostSpare {
            let token = desk.issue(for: self)
            ordered.insert(token)
            tell(StreamToken(stream: 0, token: token))
        }
        if review == nil { setReview() }
    }

    private func setReview() {
        review = desk.loop.after(Self.reviewTime) { [weak self] in
            guard let self, self.wanted > 0 else { return }
            if self.misses == 0 {
                self.wanted = max(Self.fewest, self.wanted / 2)
                self.drop(downTo: self.wanted)
            }
            self.misses = 0
            self.setReview()
            self.refill()
        }
    }

    /// Closes the oldest spare connections.
    private func drop(downTo count: Int) {
        while spare.count > count {
            spare.removeFirst().link.close(abort: false)
            desk.spareCount -= 1
        }
    }
}
