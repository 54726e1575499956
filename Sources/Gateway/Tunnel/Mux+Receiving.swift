/// What comes over the connection.
extension Mux {
    /// Reads and consumes what is there, within the budget of a turn.
    func receive() {
        var budget = Loop.turnBudget
        while case .open = state, leg.hasInput {
            guard budget > 0 else { return loop.again(self) }
            let outcome = leg.readFrames { consume($0) }
            switch outcome {
            case .bytes(let count):
                liveness.hear(loop.now)
                budget -= count
            case .again: return
            case .end: return end(goneAway ?? .lost("the peer closed the connection"))
            case .failed: return end(goneAway ?? .lost("the connection broke"))
            }
        }
    }

    private func consume(_ bytes: Span<UInt8>) {
        var offset = 0
        while true {
            let event = parser.next(bytes, at: &offset)
            if case .data(let id, let range) = event {
                if id != partsStream?.id || parts.count == 64 {
                    deliverParts(bytes)
                    partsStream = streams[id]
                }
                guard let stream = partsStream else {
                    if id > lastStream || id & 1 == 0 {
                        return violate(.protocolViolation, "data on a stream never opened")
                    }
                    continue
                }
                guard stream.admits(range.count) else {
                    if stream.peerFinished { return violate(.protocolViolation, "data after the end of a stream") }
                    return violate(.flow, "data beyond the window of a stream")
                }
                parts.append(range)
                continue
            }
            deliverParts(bytes)
            guard case .open = state else { return }
            switch event {
            case .data: break
            case .needMore: return
            case .finish(let id):
                guard let stream = known(id) else { continue }
                guard !stream.peerFinished else { return violate(.protocolViolation, "a stream ended twice") }
                stream.receiveFinish()
            case .reset(let id, let code):
                known(id)?.receiveReset(ResetCode(wire: code))
            case .window(let id, let count):
                guard let stream = known(id) else { continue }
                guard stream.credit(count) else { return violate(.flow, "a window beyond its limit") }
            case .ping(let number): stage(number: number, .pong)
            case .pong(let number): pathDelay.hear(number, loop.now)
            case .control(let type, let id, let payload): control(type, id, payload)
            case .violation(let rule): return violate(.protocolViolation, rule)
            }
            guard case .open = state else { return }
        }
    }

    /// Hands the gathered parts of one stream to it: consecutive frames of a stream leave in one write.
    private func deliverParts(_ bytes: Span<UInt8>) {
        guard let stream = partsStream.take() else { return }
        stream.deliver(bytes, parts: parts)
        parts.removeAll(keepingCapacity: true)
    }

    /// The stream of a frame; nil for one that ended already. A stream never opened is a violation.
    private func known(_ id: UInt32) -> Stream? {
        if let stream = streams[id] { return stream }
        if id > lastStream || id & 1 == 0 { violate(.protocolViolation, "a frame on a stream never opened") }
        return nil
    }

    private func control(_ type: FrameType, _ id: UInt32, _ payload: [UInt8]) {
        switch type {
        case .open:
            guard id & 1 == 1, id > lastStream else { return violate(.protocolViolation, "stream ids must ascend") }
            lastStream = id
            delegate?.mux(self, isAsked: id, payload: payload)
        case .goAway:
            guard let message = GoAway(payload) else { return violate(.protocolViolation, "GOAWAY is malformed") }
            goneAway = .goneAway(message.code, message: message.message)
            delegate?.mux(self, received: type, payload: payload)
        case .datagram:
            guard let stream = known(id), !stream.receive(datagram: payload) else { return }
            let owner = stream.owner
            stream.reset(.refused)
            owner?.receiveReset(.refused)
        default:
            delegate?.mux(self, received: type, payload: payload)
        }
    }
}
