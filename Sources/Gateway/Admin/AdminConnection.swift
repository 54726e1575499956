/// A connection to the admin socket: one `GET /status` or `GET /usage`, one answer. Only the gateway's user can reach the socket.
final class AdminConnection: Handler {
    private let leg: Leg
    private let front: Front
    private let gateway: Gateway
    private var bytes: [UInt8] = []
    private var output: StuckBytes?
    private let since: MonotonicNanoseconds
    private var isAnswered = false

    private static let limit = 8192
    private static let seconds: UInt64 = 10

    init(leg: Leg, front: Front, gateway: Gateway) throws(SocketError) {
        self.leg = leg
        self.front = front
        self.gateway = gateway
        since = front.loop.now
        super.init()
        try leg.register(self)
    }

    override func ready(_ events: Events) {
        guard leg.isOpen, leg.note(events) else { return end() }
        flushOutput()
        while leg.isOpen, leg.hasInput {
            switch leg.read(limit: Self.limit, { if !isAnswered { bytes.append(copying: $0) } }) {
            case .bytes: judge()
            case .again: return
            case .end, .failed: return end()
            }
        }
    }

    override func sweep(_ now: MonotonicNanoseconds) {
        if now &- since > Self.seconds * 1_000_000_000 { end() }
    }

    override func loopStops() { end() }

    private func judge() {
        guard !isAnswered else { return }
        var parser = RequestHeadParser(limit: Self.limit)
        switch parser.parse(bytes.span) {
        case .incomplete: return
        case .failed: answer(400, "Bad Request", [])
        case .complete(let head):
            let path = String(copying: bytes.span, head.path)
            let method = String(copying: bytes.span, head.method)
            let isUsage = path.utf8.elementsEqual("/usage".utf8)
            guard isUsage || path.utf8.elementsEqual("/status".utf8) else { return answer(404, "Not Found", []) }
            guard method.utf8.elementsEqual("GET".utf8) else { return answer(405, "Method Not Allowed", []) }
            isAnswered = true
            let reply = LoopBound(self, on: front.loop)
            if isUsage {
                return gateway.withUsage { json in reply.submit { $0.answer(200, "OK", json) } }
            }
            gateway.withStatus { status in
                let json = status.json
                reply.submit { $0.answer(200, "OK", json) }
            }
        }
    }

    private func answer(_ status: Int, _ reason: String, _ body: [UInt8]) {
        guard leg.isOpen else { return }
        isAnswered = true
        var bytes = Array("HTTP/1.1 \(status) \(reason)\r\nContent-Type: application/json\r\n".utf8)
        bytes += Array("Content-Length: \(body.count)\r\nConnection: close\r\n\r\n".utf8)
        bytes += body
        output = StuckBytes(bytes.span, loop: front.loop)
        flushOutput()
    }

    private func flushOutput() {
        guard let output else { return }
        if output.offer({ max(0, self.leg.write($0)) }) {
            self.output = nil
            leg.shutdownWrite()
        }
    }

    private func end() {
        guard leg.isOpen else { return }
        leg.close()
        front.loop.remove(self)
    }
}

extension Front {
    /// Serves the admin interface on a Unix socket.
    func listenAdmin(_ socket: ListeningSocket, _ gateway: Gateway) throws(SocketError) {
        let acceptor = try Acceptor(loop: loop, socket: socket) { [weak self, weak gateway] descriptor, _ in
            guard let self, let gateway else { return Leg.closeUnserved(descriptor) }
            let leg = Leg(adopting: descriptor, loop: self.loop)
            if (try? AdminConnection(leg: leg, front: self, gateway: gateway)) == nil { leg.close() }
        }
        adminListeners.append(acceptor)
    }
}
