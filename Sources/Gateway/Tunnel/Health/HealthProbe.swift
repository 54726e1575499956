/// One check of a local service: dials it, for a target with TLS does the handshake, and for http asks for a path and reads the status line.
/// Loop-owned.
final class HealthProbe: Handler {
    /// Bytes of an answer that are looked at.
    private static let limit = 1024

    private let leg: Leg
    private var request: [UInt8]
    private var answer: [UInt8] = []
    private let isHTTP: Bool
    /// What the certificate has to name, until the handshake is done; nil then, and without TLS.
    private var expectedName: String?
    private var deadline: Timer?
    private var onEnd: ((String?) -> Void)?

    /// - Parameters:
    ///   - tls: for a target with TLS, with what its certificate has to name.
    ///   - onEnd: called once with what is wrong, nil when nothing is.
    init(
        _ check: HealthCheck,
        _ address: SocketAddress,
        loop: Loop,
        tls: (engine: TLSEngine, name: String)?,
        onEnd: @escaping (String?) -> Void
    ) throws(SocketError) {
        self.onEnd = onEnd
        switch check.kind {
        case .tcp:
            isHTTP = false
            request = []
        case .http(let path):
            isHTTP = true
            let host = if case .unix = address { "localhost" } else { address.description }
            request = Array(
                "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: webgw-check\r\nConnection: close\r\n\r\n".utf8
            )
        }
        expectedName = tls?.name
        leg = try Leg(dialing: address, loop: loop, tls: tls?.engine)
        super.init()
        try leg.register(self)
        deadline = loop.after(check.timeout) { [weak self] in self?.end("no answer in time") }
    }

    override func ready(_ events: Events) {
        guard leg.isOpen else { return }
        guard leg.note(events) else { return end("the connection was refused") }
        guard !leg.isConnecting, handshake() else { return }
        guard isHTTP else { return end(nil) }
        if !request.isEmpty {
            let count = leg.write(request.span)
            guard count >= 0, leg.flush() else { return end("the connection broke") }
            request.removeFirst(count)
        }
        while leg.isOpen, leg.hasInput {
            switch leg.read(limit: Self.limit - answer.count, { answer.append(copying: $0) }) {
            case .bytes: judge()
            case .again: return
            case .end, .failed: return end("the connection ended without an answer")
            }
        }
    }

    /// True when nothing stands in the way of the question.
    private func handshake() -> Bool {
        guard let name = expectedName else { return true }
        switch leg.handshake() {
        case .again: break
        case .failed(let error): end(leg.tls?.complaint(error, name: name) ?? error.reason)
        case .done: expectedName = nil
        }
        return expectedName == nil
    }

    override func loopStops() {
        deadline?.cancel()
        onEnd = nil
        leg.close()
    }

    /// Ends without telling anybody.
    func cancel() {
        onEnd = nil
        end(nil)
    }

    private func judge() {
        // `HTTP/1.1 200`
        guard answer.count >= 12 else { return }
        guard answer.starts(with: "HTTP/1.".utf8), let status = answer.span.decimal(9..<12) else {
            return end("the answer is no HTTP/1.1")
        }
        end((200..<400).contains(status) ? nil : "status \(status)")
    }

    private func end(_ complaint: String?) {
        guard leg.isOpen else { return }
        deadline?.cancel()
        leg.abort()
        leg.loop.remove(self)
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?(complaint)
    }
}
