/// One look at a backend: dials its literal address, asks for the proof, and judges the answer, within 5 s. Loop-owned.
///
/// Nothing of the visitor or of the gateway is sent; nothing is followed.
final class ProofVisit: Handler {
    static let time: Duration = .seconds(5)

    private let subject: OverlaySubject
    private let leg: Leg
    private var request: [UInt8]
    private var reader: ProofAnswerReader
    private var isReady: Bool
    private var deadline: Timer?
    private var onEnd: ((ProofAnswer) -> Void)?

    init(_ subject: OverlaySubject, loop: Loop, context: TLSContext, onEnd: @escaping (ProofAnswer) -> Void) throws {
        self.subject = subject
        self.onEnd = onEnd
        request = ProofAnswerReader.request(subject)
        reader = ProofAnswerReader(contract: subject.contract)
        let engine = subject.isTLS ? try TLSEngine(context, loop: loop) : nil
        isReady = engine == nil
        leg = try Leg(dialing: subject.address.socket, loop: loop, tls: engine)
        super.init()
        try leg.register(self)
        deadline = loop.after(Self.time) { [weak self] in self?.end(.failed("it did not answer within 5 s")) }
    }

    override func ready(_ events: Events) {
        guard leg.isOpen else { return }
        guard leg.note(events) else { return end(.failed("it cannot be reached")) }
        guard leg.isConnecting || isElsewhere else { return end(.own) }
        if !isReady { handshake() }
        if isReady { talk() }
    }

    override func loopStops() {
        deadline?.cancel()
        onEnd = nil
        leg.close()
    }

    /// Gives up without an answer.
    func cancel() {
        onEnd = nil
        end(.failed(""))
    }

    /// A connection whose two ends have one address never left this host, whatever the list of interfaces says.
    private var isElsewhere: Bool { leg.localAddress?.with(port: 0) != subject.address.socket.with(port: 0) }

    private func handshake() {
        switch leg.handshake() {
        case .again: return
        case .failed(let error): end(.failed("its TLS fails: \(error.reason)"))
        case .done: isReady = true
        }
    }

    private func talk() {
        if !request.isEmpty {
            let count = leg.write(request.span)
            guard count >= 0, leg.flush() else { return end(.failed("it broke the connection")) }
            request.removeFirst(count)
        }
        while leg.isOpen, leg.hasInput {
            var verdict: ProofAnswer?
            switch leg.read(limit: reader.room, { verdict = reader.take($0) }) {
            case .bytes: if let verdict { return end(verdict) }
            case .again: return
            case .end: return end(reader.end())
            case .failed: return end(.failed("it broke the connection"))
            }
        }
    }

    private func end(_ answer: ProofAnswer) {
        guard leg.isOpen else { return }
        deadline?.cancel()
        leg.abort()
        leg.loop.remove(self)
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?(answer)
    }
}
