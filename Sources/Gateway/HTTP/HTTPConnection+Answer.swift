extension HTTPConnection {
    // MARK: Bytes of the workload

    func receive(_ bytes: Span<UInt8>) -> Int {
        switch phase {
        case .raw:
            guard stuckDown == nil else { return 0 }
            return write(bytes)
        case .exchange:
            // An answer may come before the request is whole, but not between its last chunk and its last line: what lacks
            // that line is no request.
            guard stuckDown == nil, !exchange.request.isAtTrailers else { return 0 }
            touch()
            guard !answerCarry.isEmpty else { return answer(bytes) }
            // What waits is the beginning of a head or of trailers, so what is used of the two together reaches beyond it.
            // The rest stays with the stream, where it counts against the window and the stuck budget.
            let waiting = answerCarry.count
            var joined = answerCarry
            answerCarry = []
            joined.append(copying: bytes)
            return max(0, answer(joined.span) - waiting)
        case .head, .linger, .closed:
            // Nobody asked: a workload that speaks out of turn would answer the next request wrongly.
            dropStream(.cancelled)
            return bytes.count
        }
    }

    /// Writes to the visitor; what was not taken stays with the caller. Ends the connection when it broke.
    private func write(_ bytes: Span<UInt8>) -> Int {
        let count = leg.write(bytes)
        guard count >= 0 else {
            abort()
            return bytes.count
        }
        if count > 0 {
            touch()
            pace.took(count)
        }
        return count
    }

    /// Passes on what can be passed on of an answer; returns how many bytes were used. Fewer than given: the visitor is stuck.
    private func answer(_ bytes: Span<UInt8>) -> Int {
        var output = front.takeOutput()
        defer { front.give(output) }
        var offset = 0
        while offset < bytes.count, phase == .exchange {
            guard var body = exchange.response else {
                switch answerHead(bytes, &offset, &output) {
                case .goOn: continue
                case .stash:
                    answerCarry = [UInt8](copying: bytes.extracting(offset..<bytes.count))
                    _ = put(&output)
                    return bytes.count
                case .stop: return bytes.count
                }
            }
            if body.hasEnded { break }
            switch body.next(bytes, from: offset) {
            case .pass(let end):
                if !output.isEmpty, end - offset <= 16 << 10 {
                    output.append(copying: bytes.extracting(offset..<end))
                    offset = end
                } else {
                    guard put(&output) else { return phase == .exchange ? offset : bytes.count }
                    let count = write(bytes.extracting(offset..<end))
                    guard phase == .exchange else { return bytes.count }
                    if offset + count < end {
                        if count > 0 { _ = exchange.response?.next(bytes.extracting(0..<offset + count), from: offset) }
                        return offset + count
                    }
                    offset = end
                }
                exchange.response = body
            case .drop(let end):
                exchange.response = body
                offset = end
            case .trailers:
                var trailers: [UInt8] = []
                switch Trailers.forward(bytes, from: offset, to: &trailers) {
                case .incomplete:
                    exchange.response = body
                    answerCarry = [UInt8](copying: bytes.extracting(offset..<bytes.count))
                    _ = put(&output)
                    return bytes.count
                case .failed:
                    abort()
                    return bytes.count
                case .end(let end):
                    body.endTrailers()
                    exchange.response = body
                    if exchange.minor >= 1 { output.append(contentsOf: trailers) }
                    offset = end
                }
            case .end: break
            case .failed:
                // The head is out, so the visitor can only be told by the connection's end.
                abort()
                return bytes.count
            }
        }
        guard phase == .exchange else { return raw(bytes, offset, &output) }
        _ = put(&output)
        guard phase == .exchange else { return bytes.count }
        if exchange.response?.hasEnded == true {
            if offset < bytes.count { exchange.workloadKeepsAlive = false }
            finishExchange()
            return bytes.count
        }
        return offset
    }

    /// After a change of protocol: what came with the head goes on as it is.
    private func raw(_ bytes: Span<UInt8>, _ offset: Int, _ output: inout [UInt8]) -> Int {
        guard phase == .raw else { return bytes.count }
        guard put(&output) else { return phase == .raw ? offset : bytes.count }
        return offset < bytes.count ? offset + write(bytes.extracting(offset..<bytes.count)) : offset
    }

    /// Writes what was built; what the visitor does not take is kept. False when something was kept, or the connection ended.
    private func put(_ output: inout [UInt8]) -> Bool {
        guard !output.isEmpty else { return true }
        defer { output.removeAll(keepingCapacity: true) }
        let count = write(output.span)
        guard phase != .closed else { return false }
        if count == output.count { return true }
        stuckDown = StuckBytes(output.span.extracting(count..<output.count), loop: front.loop)
        if stuckDown == nil { abort() }
        return false
    }

    private enum HeadStep {
        case goOn
        case stash
        case stop
    }

    private func answerHead(_ bytes: Span<UInt8>, _ offset: inout Int, _ output: inout [UInt8]) -> HeadStep {
        let rest = bytes.extracting(offset..<bytes.count)
        let head: ResponseHead
        switch front.responses.parse(rest, toHead: exchange.isHead) {
        case .incomplete: return .stash
        case .failed:
            badAnswer()
            return .stop
        case .complete(let complete): head = complete
        }
        offset += head.length
        exchange.replay = nil
        let delivery = ResponseDelivery(
            head,
            minor: exchange.minor,
            visitorKeepsAlive: exchange.keepsAlive && !front.isDraining
        )
        if head.isInterim {
            exchange.interims += 1
            guard exchange.interims <= Exchange.maxInterims else {
                abort()
                return .stop
            }
            if exchange.minor >= 1 {
                ResponseForwarding.append(head, front.responses.fields, rest, delivery: delivery, to: &output)
            }
            return .goOn
        }
        if head.status == 101 {
            guard exchange.wantsUpgrade else {
                badAnswer()
                return .stop
            }
            ResponseForwarding.append(head, front.responses.fields, rest, delivery: delivery, to: &output)
            phase = .raw
            // Bytes that the visitor sent ahead wait in `carry`.
            front.loop.again(self)
            return .goOn
        }
        exchange.keepsAlive = delivery.keepsAlive
        exchange.workloadKeepsAlive = head.keepsAlive
        exchange.response = BodyReader(head.framing, keepsFraming: delivery.keepsChunks)
        ResponseForwarding.append(head, front.responses.fields, rest, delivery: delivery, to: &output)
        return .goOn
    }

    private func badAnswer() {
        front.count(.malformedAnswer, ticket?.route.contract)
        dropStream(.cancelled)
        if exchange.hasAnswered { abort() } else { refuse(.badAnswer) }
    }

    // MARK: The end of an answer

    /// The answer went out whole, or into `stuckDown`.
    private func finishExchange() {
        let isRequestWhole = exchange.request.hasEnded && stuckUp == nil
        if !exchange.workloadKeepsAlive || !isRequestWhole || stream?.isLeaving == true { dropStream(.cancelled) }
        answerCarry = []
        afterAnswer(keepsAlive: exchange.keepsAlive && isRequestWhole)
    }

    func afterAnswer(keepsAlive: Bool) {
        touch()
        answeredSince = activeSince
        if keepsAlive {
            phase = .head
            if !carry.isEmpty || leg.hasInput { front.loop.again(self) }
            return
        }
        phase = .linger
        carry = []
        dropStream(.cancelled)
        if stuckDown == nil { leg.shutdownWrite() } else { shutsWhenFlushed = true }
        if leg.hasInput { front.loop.again(self) }
    }

    /// Answers in place of the workload.
    func refuse(_ failure: Failure) {
        let keepsAlive = exchange.keepsAlive && exchange.request.hasEnded && failure != .timeout && !front.isDraining
        var output = front.takeOutput()
        failure.append(toHead: exchange.isHead, keepsAlive: keepsAlive, minor: exchange.minor, to: &output)
        if stuckDown == nil {
            _ = put(&output)
        } else if stuckDown?.append(output.span) == false {
            front.give(output)
            return abort()
        }
        front.give(output)
        guard phase != .closed else { return }
        afterAnswer(keepsAlive: keepsAlive)
    }

    /// Writes what the visitor did not take before, then lets the stream go on.
    func flushDown() {
        guard phase != .closed else { return }
        if let kept = stuckDown {
            let before = kept.count
            let isEmpty = kept.offer { max(0, self.leg.write($0)) }
            if kept.count < before {
                touch()
                pace.took(before - kept.count)
            }
            guard isEmpty else { return }
            stuckDown = nil
            if shutsWhenFlushed {
                shutsWhenFlushed = false
                leg.shutdownWrite()
                if legEnded { end(abort: false) }
                return
            }
            if phase == .head, !carry.isEmpty { front.loop.again(self) }
        }
        if let stream, stream.holdsBytes, stuckDown == nil, !exchange.request.isAtTrailers { stream.resumeReceiving() }
    }

    // MARK: The end of the stream

    /// A stream that is kept for the next request would hold up an agent that wants to go.
    func carrierLeaves() { if phase == .head { dropStream(.cancelled) } }

    func receiveFinish() {
        switch phase {
        case .raw:
            streamEnded = true
            if stuckDown == nil { leg.shutdownWrite() } else { shutsWhenFlushed = true }
            if legEnded, stuckDown == nil { end(abort: false) }
        case .exchange:
            guard let body = exchange.response else {
                if retry() { return }
                return noAnswer(.refusedByWorkload, .badAnswer)
            }
            guard body.endsWithConnection else { return abort() }
            exchange.keepsAlive = false
            exchange.workloadKeepsAlive = false
            finishExchange()
        case .head, .linger, .closed: dropStream(.cancelled)
        }
    }

    func receiveReset(_ code: ResetCode) {
        switch phase {
        case .raw: end(abort: true)
        case .exchange:
            if exchange.hasAnswered { return abort() }
            if code != .contractEnded, code != .timeout, retry() { return }
            switch code {
            case .dialFailed: noAnswer(.refusedByWorkload, .refused)
            case .timeout: noAnswer(.silentWorkload, .silent)
            case .limit: noAnswer(.limit, .limit)
            case .contractEnded: noAnswer(.ended, .notFound)
            case .refused, .noSuchExposure, .backendUnhealthy: noAnswer(.noAgent, .noAgent)
            case .cancelled, .internalError: noAnswer(.noAgent, .noAgent)
            }
        case .head, .linger, .closed: dropStream(.cancelled)
        }
    }

    private func noAnswer(_ refusal: VisitorRefusal, _ failure: Failure) {
        front.count(refusal, ticket?.route.contract)
        dropStream(.cancelled)
        refuse(failure)
    }
}
