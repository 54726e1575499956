internal import Contracts
internal import Logging

/// The tasks of `run`: the long poll, the visits of all other sources, and the heartbeat.
extension Watcher {
    /// Follows the ledger, or the first mirror that answers while it does not.
    func follow() async throws {
        let elapsed = stopwatch(configuration.clock)
        var schedule = newSchedule(client.sources.count)
        var isLongPoll = false
        // Where long polls fail and plain ones do not, the pauses before them keep growing.
        var hasFailedPoll = false
        while true {
            try Task.checkCancellation()
            if await follower.halt != nil {
                // Nothing a source can say changes this; the heartbeat keeps the freshness up to date.
                try await configuration.clock.sleep(for: configuration.interval)
                continue
            }
            guard let index = schedule.ready(at: elapsed()) else {
                try await configuration.clock.sleep(for: schedule.pause(at: elapsed()))
                continue
            }
            let begin = elapsed()
            let wait = isLongPoll && configuration.longPoll > 0 ? configuration.longPoll : nil
            do {
                let news = try await follower.round(client.sources[index], wait: wait)
                if wait != nil { hasFailedPoll = false }
                if !hasFailedPoll { schedule.succeeded(index) } else { schedule.answered(index) }
                if news == .advanced || news == .renewed { await publish() }
                // A long poll that ended without news is followed by a plain request: only that brings the fresh
                // cosignatures of an idle ledger.
                isLongPoll = news != .nothingNewer
                let isPaced = wait == nil ? configuration.longPoll > 0 : elapsed() - begin > .seconds(1)
                if !isPaced, news != .advanced { try await configuration.clock.sleep(for: configuration.poll) }
            } catch {
                let refusal = try passing(error)
                schedule.failed(index, refusal, at: elapsed(), fraction: configuration.random())
                if wait != nil { hasFailedPoll = true }
                isLongPoll = false
                if refusal.kind == .halted { await publish() }
            }
        }
    }

    /// Asks one mirror in turn and a few peers and witnesses by chance (steps 2 and 11); while the state is stale, all.
    ///
    /// They are asked at the same time, so one that is slow or talks nonsense holds up nobody, and is asked less often.
    func visit() async throws {
        let mirrors = Array(client.sources.dropFirst())
        let observers = client.others.filter(\.role.isObserver)
        let elapsed = stopwatch(configuration.clock)
        var schedule = newSchedule(client.sources.count + client.others.count)
        var turn = 0
        while true {
            let isStale = latest.map { $0.freshness(at: configuration.now()) > .normal } ?? true
            try await configuration.clock.sleep(
                for: isStale ? min(configuration.interval, configuration.staleInterval) : configuration.interval
            )
            guard await follower.halt == nil else { continue }
            var chosen = observers
            if isStale {
                chosen += client.sources
            } else {
                chosen = Array(observers.sorted(byChance: configuration.random).prefix(configuration.gossip))
                if !mirrors.isEmpty {
                    chosen.append(mirrors[turn % mirrors.count])
                    turn += 1
                }
            }
            do {
                let data = client.sources[turn % client.sources.count]
                try await follower.compareStateNotes(from: data)
            } catch {
                _ = try passing(error)
            }
            let results = try await ask(chosen.filter { schedule.isReady($0.index, at: elapsed()) })
            for (source, refusal) in results {
                if let refusal {
                    schedule.failed(source.index, refusal, at: elapsed(), fraction: configuration.random())
                } else {
                    schedule.succeeded(source.index)
                }
            }
        }
    }

    private func ask(_ sources: [LedgerClient.Source]) async throws -> [(LedgerClient.Source, LedgerRefusal?)] {
        try await withThrowingTaskGroup(of: (LedgerClient.Source, LedgerRefusal?).self) { group in
            for source in sources {
                group.addTask {
                    do {
                        let news = try await self.follower.round(source)
                        if news == .advanced || news == .renewed { await self.publish() }
                        return (source, nil)
                    } catch {
                        let refusal = try self.passing(error)
                        if refusal.kind == .halted { await self.publish() }
                        return (source, refusal)
                    }
                }
            }
            var results: [(LedgerClient.Source, LedgerRefusal?)] = []
            for try await result in group { results.append(result) }
            return results
        }
    }

    private func newSchedule(_ count: Int) -> SourceSchedule {
        SourceSchedule(
            count: count,
            first: configuration.firstPause,
            unreachableCap: configuration.poll,
            refusedCap: configuration.distrust
        )
    }

    /// Publishes again when freshness or alarms change, and every minute; takes evidence that was left in the state
    /// directory.
    func beat() async throws {
        let elapsed = stopwatch(configuration.clock)
        var due = configuration.interval
        var lastFreshness = Freshness.normal
        var lastAlarms: [LedgerAlarm.Code] = []
        while true {
            try await configuration.clock.sleep(for: configuration.heartbeat)
            if try await takeInbox() { await publish() }
            guard let latest, let (current, _) = await follower.verified() else { continue }
            let freshness = current.freshness(at: configuration.now())
            if freshness != lastFreshness { note(freshness, after: lastFreshness, current) }
            let isOld = latest.condition != current.condition && (latest.condition == .normal || freshness == .normal)
            if elapsed() >= due || isOld || freshness != lastFreshness || current.alarms.map(\.code) != lastAlarms
                || current.history != latest.history
            {
                await publish()
                due = elapsed() + configuration.interval
            }
            (lastFreshness, lastAlarms) = (freshness, current.alarms.map(\.code))
        }
    }

    private func note(_ freshness: Freshness, after last: Freshness, _ state: VerifiedState) {
        let age = state.age(at: configuration.now())
        switch freshness {
        case .normal: logger.notice("the verified state is fresh again")
        case .stale: if last < .stale { logger.warning("the verified state is \(age) s old; asking all sources") }
        case .alarm, .expired:
            if last < freshness {
                logger.error("\(LedgerAlarm.stale(age: age).message)", metadata: ["alarm": "LedgerStale"])
            }
        }
    }
}

extension [LedgerClient.Source] {
    fileprivate func sorted(byChance random: () -> Double) -> [LedgerClient.Source] {
        map { ($0, random()) }.sorted { $0.1 < $1.1 }.map(\.0)
    }
}

/// Time since now by any clock.
func stopwatch<C: Clock>(_ clock: C) -> @Sendable () -> Duration where C.Duration == Duration {
    let start = clock.now
    return { start.duration(to: clock.now) }
}
