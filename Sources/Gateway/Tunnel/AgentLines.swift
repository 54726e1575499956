internal import Contracts
internal import Glibc

/// The data connections of one session on the agent: dialed when the gateway says so, ahead or for a stream. Loop-owned.
final class AgentLines {
    private let loop: Loop
    private let address: SocketAddress
    /// Connections made ahead, which no stream has yet.
    private var spare: [DataToken: Link] = [:]

    /// More are not made, whatever the gateway asks.
    private static let mostSpare = 128

    /// `address` is the one that the session was dialed at.
    init(loop: Loop, address: SocketAddress) {
        self.loop = loop
        self.address = address
    }

    /// Makes a connection for a stream that is still to come.
    func prepare(_ token: DataToken) {
        guard spare.count < Self.mostSpare, spare[token] == nil, let link = dial(token) else { return }
        spare[token] = link
        link.begin(nil) { [weak self] _ in self?.spare[token] = nil }
    }

    /// The connection of a token, made ahead or now; nil when none can be dialed.
    func take(_ token: DataToken) -> Link? { spare.removeValue(forKey: token) ?? dial(token) }

    private func dial(_ token: DataToken) -> Link? {
        let link = Link(loop: loop, farMayBegin: true)
        do throws(SocketError) {
            let leg = try Leg(dialing: address, loop: loop)
            leg.watchPeer()
            try link.join(far: leg, preamble: token.preamble)
            return link
        } catch {
            link.close(abort: true)
            return nil
        }
    }

    /// The session is over.
    func end() {
        for link in spare.values { link.close(abort: true) }
        spare = [:]
    }
}

/// A stream of a `reverse-raw` exposure on the agent: the data connection it waits for, and the link to the local service.
/// Loop-owned.
final class DataStream: StreamOwner {
    private let core: AgentCore
    private let target: ForwardTarget
    private var stream: Stream?
    private var link: Link?
    private var isOver = false
    /// The stream's TOKEN follows its OPEN at once.
    private var deadline: Timer?

    init(_ stream: Stream, target: ForwardTarget, core: AgentCore) {
        self.core = core
        self.target = target
        self.stream = stream
        deadline = core.loop.after(.nanoseconds(Int64(DataToken.lifetime))) { [weak self] in self?.end(.timeout) }
    }

    /// Joins the stream's data connection with the local service; nil when it could not be dialed.
    func join(_ link: Link?) {
        deadline?.cancel()
        deadline = nil
        guard !isOver, self.link == nil, let stream, let link else {
            link?.close(abort: true)
            return end(.internalError)
        }
        self.link = link
        link.begin(stream.flow) { self.linkEnded($0) }
        switch target.place {
        case .address(let address): dial(address)
        case .name(let host, let port):
            core.resolve(host, port) { addresses in
                guard !self.isOver else { return }
                guard let address = addresses.first else { return self.dialFailed(.dialFailed) }
                self.dial(address)
            }
        }
    }

    private func dial(_ address: SocketAddress) {
        do throws(SocketError) {
            try link?.join(near: Leg(dialing: address, loop: core.loop))
        } catch {
            dialFailed(error.code == EMFILE || error.code == ENFILE ? .limit : .dialFailed)
        }
    }

    /// The gateway learns it from the RESET, and closes the data connection then.
    private func dialFailed(_ code: ResetCode) {
        stream?.reset(code)
        stream = nil
        link?.leave()
    }

    private func linkEnded(_ reason: Link.End) {
        link = nil
        switch reason {
        case .finished:
            stream?.retire()
            end(nil)
        case .dialFailed: end(.dialFailed)
        case .overBudget: end(.limit)
        case .nearBroke, .farBroke, .aloneTooLong, .idle, .stopped: end(.internalError)
        }
    }

    private func end(_ code: ResetCode?) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        deadline = nil
        if let code { stream?.reset(code) }
        link?.close(abort: true)
        stream = nil
        link = nil
    }

    // MARK: The stream

    /// Once the local service has said its last, the gateway may be done with the stream, and its session closed in order, while bytes of the
    /// visitor are still on the data connection. If the gateway is not done, it ends that connection by RST.
    func outlivesCarrier() -> Bool {
        guard let link, link.hasSentAll else { return false }
        link.limitSilence(StreamLink.leavingTime)
        return true
    }

    func receiveReset(_ code: ResetCode) {
        stream = nil
        end(nil)
    }

    /// Bytes of such a stream go over its data connection only.
    func receive(_ bytes: Span<UInt8>) -> Int {
        end(.refused)
        return bytes.count
    }

    func receiveFinish() { end(.refused) }
    func streamCanSend() {}
}

extension AgentSession {
    /// A stream of a contract whose visitors get data connections: only end-to-end TLS goes over one.
    func ask(_ stream: UInt32, _ request: StreamOpen, _ target: ForwardTarget, _ mux: Mux) {
        guard request.kind == "tls" else { return mux.stageReset(stream: stream, .refused) }
        let stream = mux.accept(stream, flow: core.flow(of: request.contract, at: node))
        stream.owner = DataStream(stream, target: target, core: core)
    }

    /// TOKEN came; false when it is malformed.
    func heard(token payload: [UInt8], _ mux: Mux) -> Bool {
        guard let message = StreamToken(payload) else { return false }
        // The gateway may know of a change of the contract before this agent does: what it did not agree to is not done.
        guard message.stream > 0 else {
            if !core.rawContracts.isEmpty { lines.prepare(message.token) }
            return true
        }
        guard let stream = mux.streams[message.stream] else { return true }
        guard let owner = stream.owner as? DataStream else {
            let owner = stream.owner
            stream.reset(.refused)
            owner?.receiveReset(.refused)
            return true
        }
        owner.join(lines.take(message.token))
        return true
    }
}
