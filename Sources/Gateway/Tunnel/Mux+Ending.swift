/// How a session ends: with a word to the peer, or at once.
extension Mux {
    /// Takes no new streams, and lets those go that wait for something that may not come.
    func leave() {
        guard !isLeaving else { return }
        isLeaving = true
        let running = streams
        for stream in running.values { stream.owner?.carrierLeaves() }
    }

    /// Ends the session because the peer broke a rule.
    func violate(_ code: GoAwayCode, _ rule: String) {
        close(.violated(code, message: rule), GoAway(code: code, drain: 0, message: rule))
    }

    /// Says GOAWAY and closes after it went out; the streams are reset now.
    func close(_ end: SessionEnd, _ message: GoAway) {
        guard isOpen else { return self.end(end) }
        stage(session: .goAway, message.payload)
        guard isOpen else { return }
        resetStreams()
        guard isOpen else { return }
        state = .closing(end)
        setDeadline(.seconds(1), "closed")
        loop.later(self)
    }

    /// After GOAWAY: writes what is left and discards what comes until the peer closes.
    func drainClosing() {
        guard case .closing(let end) = state else { return }
        push()
        guard case .closing = state else { return }
        var budget = Loop.turnBudget
        while leg.hasInput {
            switch leg.readFrames({ _ in }) {
            case .bytes(let count):
                budget -= count
                if budget <= 0 { return loop.again(self) }
            case .again: return
            case .end, .failed: return self.end(end)
            }
        }
    }

    /// Ends the streams that run. Those of which both directions ended in order are let go: their last bytes are on the way to the owner, or
    /// on a connection of their own.
    private func resetStreams() {
        let ended = streams
        for stream in ended.values where !stream.hasEnded && stream.owner?.outlivesCarrier() != true {
            stream.receiveReset(.internalError)
        }
        blocked = []
        partsStream = nil
    }

    /// Ends the session at once.
    func end(_ reason: SessionEnd) {
        if isDead { return }
        var final = reason
        if case .closing(let end) = state { final = end }
        state = .dead
        clearDeadline()
        ticker?.cancel()
        leg.close()
        resetStreams()
        loop.remove(self)
        let delegate = delegate
        self.delegate = nil
        delegate?.muxEnded(self, final)
    }
}
