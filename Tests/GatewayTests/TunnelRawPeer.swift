import Contracts
import Glibc

@testable import Gateway

/// One end of a tunnel connection in a test's own hands: it may say anything, at its own pace.
final class RawPeer {
    struct RawFrame: Equatable {
        var type: UInt8
        var stream: UInt32
        var payload: [UInt8]
    }

    let socket: TestSocket
    private let engine: TLSEngine
    private var plain: [UInt8] = []

    init(_ socket: TestSocket, _ context: TLSContext, pinned: [UInt8]? = nil) throws {
        self.socket = socket
        engine = try TLSEngine(context, pinned: pinned, loop: Loop())
    }

    /// Dials a gateway as an agent would.
    convenience init(dialing gateway: TestGateway, seed: UInt8) throws {
        let context = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: [UInt8](repeating: seed, count: 32)))
        try self.init(TestSocket(connectingTo: gateway.tunnel.address), context, pinned: gateway.key.publicKey.bytes)
    }

    private func flush() -> Bool {
        var isFine = true
        unsafe engine.drainOutput { bytes in
            isFine = socket.write(unsafe Array(bytes))
            return bytes.count
        }
        return isFine
    }

    private func feed() -> Bool {
        guard let bytes = socket.read(), !bytes.isEmpty else { return false }
        unsafe bytes.withUnsafeBytes {
            unsafe engine.setInput($0)
            engine.keepInput()
        }
        return true
    }

    /// True when TLS stands; false when the other end refused.
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

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        let isTaken = unsafe bytes.withUnsafeBytes { unsafe engine.write($0) }
        return isTaken && flush()
    }

    @discardableResult
    func send(_ type: FrameType, _ stream: UInt32 = 0, _ payload: [UInt8] = []) -> Bool {
        send(MuxFrameTests.frame(type.rawValue, stream, payload))
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
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe engine.read(into: $0) }
            if count > 0 {
                plain += buffer[..<count]
            } else if count == -1 {
                guard feed() else { return nil }
            } else {
                return nil
            }
        }
    }

    /// The next frame of a type, answering pings on the way.
    func read(_ type: FrameType) -> RawFrame? {
        while let frame = readFrame() {
            if frame.type == type.rawValue { return frame }
            if frame.type == FrameType.ping.rawValue { send(.pong, 0, frame.payload) }
        }
        return nil
    }

    /// HELLO, and the gateway's answer.
    func greet(
        _ contracts: [Identifier] = [TestGateway.contract],
        instance: UInt8 = 1,
        slot: Int64 = 0,
        slots: Int64 = 2
    ) -> Welcome? {
        let hello = Hello(
            contracts: contracts,
            instance: Hex.encode([UInt8](repeating: instance, count: 16)),
            slot: slot,
            slots: slots,
            agent: "test/1"
        )
        send(.hello, 0, hello.payload)
        return read(.welcome).flatMap { Welcome($0.payload) }
    }

    func goAway() -> GoAway? { read(.goAway).flatMap { GoAway($0.payload) } }
}
