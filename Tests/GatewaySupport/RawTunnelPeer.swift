import Contracts

@testable import Gateway

/// A blocking socket with a deadline on every call.
protocol RawWire: Sendable {
    /// What is there, at least a byte; empty at the end, nil when the connection broke.
    func receive() -> [UInt8]?
    /// Sends all of it; false when the connection broke.
    func transmit(_ bytes: [UInt8]) -> Bool
}

/// One end of a tunnel connection in a test's own hands: it may say anything, at its own pace. Every call blocks.
final class RawTunnelPeer<Socket: RawWire> {
    let socket: Socket
    private let engine: TLSEngine
    private var plain: [UInt8] = []

    init(_ socket: Socket, _ engine: TLSEngine) {
        self.socket = socket
        self.engine = engine
    }

    convenience init(_ socket: Socket, _ context: TLSContext, pinned: [UInt8]? = nil) throws {
        self.init(socket, try TLSEngine(context, pinned: pinned, loop: Loop()))
    }

    /// What an agent with this key dials with.
    static func context(_ key: SigningKey) throws -> TLSContext {
        try TLSContext(tunnel: .client, identity: TLSIdentity(seed: key.seed))
    }

    // MARK: TLS

    /// True when TLS stands; false when the other end refused, or ended the connection.
    func handshake() -> Bool {
        while true {
            switch engine.handshake() {
            case .done: return flush()
            case .failed:
                _ = flush()
                return false
            case .again: guard flush(), feed() else { return false }
            }
        }
    }

    private func flush() -> Bool {
        var isFine = true
        unsafe engine.drainOutput { bytes in
            isFine = socket.transmit(unsafe Array(bytes))
            return bytes.count
        }
        return isFine
    }

    private func feed() -> Bool {
        guard let bytes = socket.receive(), !bytes.isEmpty else { return false }
        unsafe bytes.withUnsafeBytes {
            unsafe engine.setInput($0)
            engine.keepInput()
        }
        return true
    }

    /// Ends this direction by close_notify.
    func finish() {
        engine.shutdown()
        _ = flush()
    }

    // MARK: Frames

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        let isTaken = unsafe bytes.withUnsafeBytes { unsafe engine.write($0) }
        return isTaken && flush()
    }

    @discardableResult
    func send(_ type: FrameType, _ stream: UInt32 = 0, _ payload: [UInt8] = []) -> Bool {
        send(RawFrame.bytes(type.rawValue, stream, payload))
    }

    /// The next frame; nil when the connection ended or broke.
    func readFrame() -> RawFrame? {
        while true {
            if let frame = RawFrame(takenFrom: &plain) { return frame }
            var clear = [UInt8](repeating: 0, count: 1 << 16)
            let count = unsafe clear.withUnsafeMutableBytes { unsafe engine.read(into: $0) }
            if count > 0 {
                plain += clear[..<count]
            } else if count == -1 {
                guard feed() else { return nil }
            } else {
                return nil
            }
        }
    }

    /// The next frame of a type, answering pings on the way; nil at the end, or when none comes within 20 s.
    func read(_ type: FrameType) -> RawFrame? {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end, let frame = readFrame() {
            if frame.type == type.rawValue { return frame }
            if frame.type == FrameType.ping.rawValue { send(.pong, 0, frame.payload) }
        }
        return nil
    }

    /// What the gateway said last before it closed; nil when it closed without a word.
    func goAway() -> GoAway? { read(.goAway).flatMap { GoAway($0.payload) } }

    /// HELLO, and the gateway's answer.
    func greet(_ contracts: [Identifier], instance: UInt8 = 1, slot: Int64 = 0) -> Welcome? {
        send(.hello, 0, Self.hello(contracts, instance: instance, slot: slot).payload)
        return read(.welcome).flatMap { Welcome($0.payload) }
    }

    static func hello(_ contracts: [Identifier], instance: UInt8 = 1, slot: Int64 = 0) -> Hello {
        Hello(
            contracts: contracts,
            instance: Hex.encode([UInt8](repeating: instance, count: 16)),
            slot: slot,
            slots: 8,
            agent: "raw/1"
        )
    }
}
