internal import Glibc

/// A workload that is reached over TLS, joined to a stream: a PROXY header in plain where the contract asks for one, the handshake, then bytes both
/// ways with half-close and abort preserved. Loop-owned.
///
/// The workload's direction ends by close_notify. A connection that ends without it is taken as broken, since anybody on the way can end one.
final class SecureLink: Handler, StreamOwner {
    /// Seconds that the connection and its handshake may take.
    private static let dialTime: UInt32 = 10
    /// Bytes encrypted at once. What the socket does not take of them is held outside of the stream's window, within the loop's stuck budget.
    private static let piece = 64 << 10

    private let leg: Leg
    private let name: String
    private var stream: Stream?
    /// Told once what became of the connection: nil when it stands.
    private var onDialed: ((String?) -> Void)?
    /// The PROXY header that is still to come; it goes before the handshake, as haproxy and nginx do it.
    private var header: ProxyHeaderReader?
    private var isShaken = false
    private var legEnded = false
    private var streamEnded = false
    /// Seconds of the monotonic clock at the begin, and then at the last byte that the workload took or the end of a direction.
    private var since: UInt32

    /// Dials, and becomes the stream's owner.
    ///
    /// - Parameters:
    ///   - name: what the certificate is asked for, for complaints.
    ///   - isProxied: whether the stream begins with a PROXY header.
    init(
        _ stream: Stream,
        at address: SocketAddress,
        tls engine: TLSEngine,
        name: String,
        isProxied: Bool,
        onDialed: @escaping (String?) -> Void
    ) throws(SocketError) {
        self.stream = stream
        self.name = name
        self.onDialed = onDialed
        header = isProxied ? ProxyHeaderReader() : nil
        since = Self.seconds(stream.loop.now)
        leg = try Leg(dialing: address, loop: stream.loop, tls: engine)
        super.init()
        try leg.register(self)
        stream.owner = self
    }

    private static func seconds(_ now: MonotonicNanoseconds) -> UInt32 {
        UInt32(truncatingIfNeeded: now / 1_000_000_000)
    }

    // MARK: The socket

    override func ready(_ events: Events) {
        guard leg.isOpen else { return }
        guard leg.note(events) else { return fail("the connection was refused") }
        work()
        // Reset by its peer: what could be read was read.
        if events.contains(.failed), leg.isOpen { breakOff() }
    }

    override func again() { work() }

    override func loopStops() { end(abort: false) }

    override func sweep(_ now: MonotonicNanoseconds) {
        let lasted = Self.seconds(now) &- since
        if !isShaken {
            guard lasted > Self.dialTime else { return }
            fail(leg.isConnecting ? "no connection within 10 s" : "no TLS handshake within 10 s")
        } else if let stream, stream.hasEnded, lasted > StreamLink.leavingTime {
            stream.retire()
            end(abort: true)
        }
    }

    private func work() {
        guard leg.isOpen, !leg.isConnecting else { return }
        if !isShaken { shake() }
        guard isShaken else { return }
        pumpDown()
        pumpUp()
        // What was read may have asked for an answer of TLS itself.
        keepRest()
    }

    /// Counts what the workload did not take yet; the stream ends when too much is stuck in all.
    private func keepRest() {
        guard leg.hasOutput, let tls = leg.tls, !tls.keepOutput(on: leg.loop) else { return }
        stream?.reset(.limit)
        end(abort: true)
    }

    private func touch() { since = Self.seconds(leg.loop.now) }

    private func shake() {
        guard header == nil else { return }
        switch leg.handshake() {
        case .again: break
        case .failed(let error): fail(leg.tls?.complaint(error, name: name) ?? error.reason)
        case .done:
            isShaken = true
            tell(nil)
        }
    }

    private func pumpUp() {
        guard isShaken, leg.isOpen, !legEnded, let stream else { return }
        var budget = Loop.turnBudget
        while leg.hasInput {
            guard budget > 0 else { return leg.loop.again(self) }
            switch stream.fill(from: leg) {
            case .bytes(let count): budget -= count
            case .again: continue
            case .blocked: return
            case .failed: return breakOff()
            case .end:
                guard leg.tls?.didPeerClose == true else { return breakOff() }
                legEnded = true
                touch()
                stream.finish()
                return endIfDone()
            }
        }
    }

    private func pumpDown() {
        guard leg.isOpen else { return }
        let waiting = leg.tls?.outputCount ?? 0
        guard leg.flush() else { return breakOff() }
        if leg.tls?.outputCount ?? 0 < waiting { touch() }
        guard !leg.hasOutput else { return }
        if let stream, stream.holdsBytes { stream.resumeReceiving() }
        passOnEnd()
    }

    /// Ends the workload's input once everything before the end is out.
    private func passOnEnd() {
        guard leg.isOpen, isShaken, streamEnded, !leg.didShutDown, !leg.hasOutput else { return }
        leg.tls?.shutdown()
        guard leg.flush() else { return breakOff() }
        guard !leg.hasOutput else { return }
        leg.shutdownWrite()
        endIfDone()
    }

    // MARK: The stream

    func receive(_ bytes: Span<UInt8>) -> Int {
        if header != nil { return takeHeader(bytes) }
        guard isShaken, leg.isOpen else { return 0 }
        var taken = 0
        while taken < bytes.count, leg.canWrite, !leg.hasOutput {
            let count = leg.write(bytes.extracting(taken..<min(bytes.count, taken + Self.piece)))
            guard count >= 0 else {
                breakOff()
                return bytes.count
            }
            taken += count
        }
        if taken > 0 { touch() }
        keepRest()
        return leg.isOpen ? taken : bytes.count
    }

    private func takeHeader(_ bytes: Span<UInt8>) -> Int {
        guard let (count, progress) = header?.take(bytes) else { return 0 }
        switch progress {
        case .incomplete: return count
        case .complete:
            let whole = header?.bytes ?? []
            header = nil
            guard leg.tls?.putAhead(whole.span) == true else { break }
            leg.loop.again(self)
            return count
        case .invalid: break
        }
        fail("the gateway sent no PROXY header, which the contract asks for")
        return bytes.count
    }

    func receiveFinish() {
        streamEnded = true
        touch()
        passOnEnd()
    }

    func receiveReset(_ code: ResetCode) {
        stream = nil
        end(abort: true)
    }

    func streamCanSend() { pumpUp() }

    // MARK: Ending

    private func tell(_ trouble: String?) {
        let onDialed = onDialed
        self.onDialed = nil
        onDialed?(trouble)
    }

    /// The connection never stood.
    private func fail(_ trouble: String) {
        guard leg.isOpen else { return }
        tell(trouble)
        stream?.reset(.dialFailed)
        end(abort: true)
    }

    private func breakOff() {
        guard isShaken else { return fail("it broke the connection during the TLS handshake") }
        stream?.reset(.internalError)
        end(abort: true)
    }

    private func endIfDone() {
        if legEnded, streamEnded, leg.didShutDown { end(abort: false) }
    }

    private func end(abort: Bool) {
        guard leg.isOpen else { return }
        stream = nil
        if abort { leg.abort() } else { leg.close() }
        leg.loop.remove(self)
    }
}

extension AgentSession {
    /// Connects the stream to a workload that speaks TLS.
    func dialSecurely(_ address: SocketAddress, _ stream: Stream, _ request: StreamOpen, _ target: ForwardTarget) {
        let place = ExposureName(contract: request.contract, exposure: request.expose)
        let secure = core.secure
        do {
            guard let engine = try secure.engine(for: target) else { return stream.reset(.dialFailed) }
            _ = try SecureLink(
                stream,
                at: address,
                tls: engine,
                name: target.serverName,
                isProxied: secure.proxied.contains(place)
            ) { secure.note(place, $0) }
        } catch let error as SocketError where error.code == EMFILE || error.code == ENFILE {
            stream.reset(.limit)
        } catch {
            secure.note(place, "\(error)")
            stream.reset(.dialFailed)
        }
    }
}
