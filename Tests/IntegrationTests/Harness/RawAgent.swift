import Contracts
import Foundation

@testable import Gateway

/// An agent in a test's own hands, at a gateway of its own process: it may say anything, at its own pace. Every call blocks; at most 20 s
/// pass without a byte.
final class RawAgent {
    struct RawFrame: Equatable {
        var type: UInt8
        var stream: UInt32
        var payload: [UInt8]
    }

    let socket: BlockingSocket
    private let engine: TLSEngine
    private var plain: [UInt8] = []
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    /// Dials; `seed` is of the key that it has.
    init(_ gateway: Deployment.Gateway, context: TLSContext, source: String = "127.0.0.1") throws {
        socket = try BlockingSocket.connected(gateway.address, gateway.tunnel, source: source)
        socket.setDeadline(seconds: 20)
        engine = try TLSEngine(context, loop: Loop())
    }

    convenience init(_ gateway: Deployment.Gateway, key: SigningKey, source: String = "127.0.0.1") throws {
        try self.init(gateway, context: Self.context(key), source: source)
    }

    static func context(_ key: SigningKey) throws -> TLSContext {
        try TLSContext(tunnel: .client, identity: TLSIdentity(seed: key.seed))
    }

    // MARK: TLS

    /// True when TLS stands; false when the gateway refused, or ended the connection.
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
            isFine = socket.write(unsafe Array(bytes)[...])
            return bytes.count
        }
        return isFine
    }

    private func feed() -> Bool {
        let count = socket.read(into: &buffer)
        guard count > 0 else { return false }
        unsafe buffer.withUnsafeBytes {
            unsafe engine.setInput(UnsafeRawBufferPointer(rebasing: $0[..<count]))
            engine.keepInput()
        }
        return true
    }

    // MARK: Frames

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        let isTaken = unsafe bytes.withUnsafeBytes { unsafe engine.write($0) }
        return isTaken && flush()
    }

    @discardableResult
    func send(_ type: UInt8, _ stream: UInt32 = 0, _ payload: [UInt8] = []) -> Bool {
        send(Self.frame(type, stream, payload))
    }

    @discardableResult
    func send(_ type: FrameType, _ stream: UInt32 = 0, _ payload: [UInt8] = []) -> Bool {
        send(type.rawValue, stream, payload)
    }

    /// A frame as it goes over the wire; `length` may lie about the payload.
    static func frame(_ type: UInt8, _ stream: UInt32, _ payload: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? payload.count
        let id = (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * UInt32($0))) }
        return id + [type, UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF)] + payload
    }

    /// The next frame; nil when the connection ended or broke.
    func readFrame() -> RawFrame? {
        while true {
            if plain.count >= 8 {
                let length = Int(plain[5]) << 16 | Int(plain[6]) << 8 | Int(plain[7])
                if plain.count >= 8 + length {
                    let stream = plain[0..<4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                    let frame = RawFrame(type: plain[4], stream: stream, payload: Array(plain[8..<(8 + length)]))
                    plain.removeFirst(8 + length)
                    return frame
                }
            }
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

/// Runs blocking work on a thread of its own.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}
