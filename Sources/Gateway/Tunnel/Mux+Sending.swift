/// What goes over the connection: staged during a turn, encrypted and written at its end.
extension Mux {
    /// Payload bytes that may be staged now; 0 when the connection is congested.
    func roomForData() -> Int {
        guard !isCongested else { return 0 }
        if output.room < 2048 {
            push()
            guard !isCongested else { return 0 }
        }
        return output.room - Frame.headerLength * 20
    }

    /// Whether a datagram of so many bytes may be staged now.
    func hasRoom(forDatagram count: Int) -> Bool {
        guard !isCongested else { return false }
        let needed = count + Frame.headerLength
        if output.room < needed { push() }
        return !isCongested && output.room >= needed
    }

    func stage(_ type: FrameType, stream: UInt32, _ payload: Span<UInt8>) {
        guard isOpen else { return }
        output.append(header: Frame.header(type, stream: stream, length: payload.count))
        output.append(payload)
        staged()
    }

    func stage(_ type: FrameType, stream: UInt32) {
        guard isOpen else { return }
        output.append(header: Frame.header(type, stream: stream, length: 0))
        staged()
    }

    func stage(session type: FrameType, _ payload: [UInt8]) {
        stage(type, stream: 0, payload.span)
    }

    func stageReset(stream: UInt32, _ code: ResetCode) {
        let bytes: InlineArray<2, UInt8> = [UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
        stage(.reset, stream: stream, bytes.span)
    }

    func stageWindow(stream: UInt32, _ count: UInt32) {
        let bytes: InlineArray<4, UInt8> = [
            UInt8(truncatingIfNeeded: count >> 24), UInt8(truncatingIfNeeded: count >> 16),
            UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count),
        ]
        stage(.window, stream: stream, bytes.span)
    }

    func stage(number: UInt64, _ type: FrameType) {
        guard isOpen else { return }
        output.append(header: Frame.header(type, stream: 0, length: 8))
        output.append(header: number)
        staged()
    }

    func fill(from leg: Leg, stream: UInt32, limit: Int) -> Leg.Outcome {
        guard isOpen else { return .failed }
        let outcome = output.fill(from: leg, limit: limit, frame: Frame.longestData) {
            Frame.header(.data, stream: stream, length: $0)
        }
        if case .bytes = outcome { staged() }
        return outcome
    }

    private func staged() {
        if output.didOverflow { return end(.lost("the peer does not read")) }
        loop.later(self)
    }

    /// Encrypts and writes what is staged.
    func push() {
        switch state {
        case .open, .closing: break
        default: return
        }
        guard leg.flush(), output.push(to: leg) else { return end(goneAway ?? .lost("the connection broke")) }
        isCongested = output.count > 0 || leg.hasOutput
        if case .closing = state, !isCongested { leg.shutdownWrite() }
    }

    /// Puts a stream in the queue of those that wait to send.
    func block(_ stream: Stream) {
        guard !stream.isBlocked else { return }
        stream.isBlocked = true
        blocked.append(stream)
        if !isCongested, !isWorking || isUnblocking { loop.again(self) }
    }

    /// Lets streams that wait to send try again, the first that came first.
    func unblock() {
        guard !blocked.isEmpty, !isCongested else { return }
        let waiting = blocked
        blocked = []
        isUnblocking = true
        defer { isUnblocking = false }
        for (index, stream) in waiting.enumerated() {
            if isCongested {
                // First come, first served: the rest goes before those that blocked just now.
                blocked.insert(contentsOf: waiting[index...], at: 0)
                return
            }
            stream.isBlocked = false
            stream.unblocked()
            guard case .open = state else { return }
        }
    }
}
