import Foundation
import Synchronization

/// Somebody on the network between agent and gateway: passes everything on, reads what is not encrypted, and may hold it up or cut it.
final class TunnelTap: Sendable {
    private struct Pair {
        let agent: BlockingSocket
        let gateway: BlockingSocket
        let isSession: Bool
    }

    private let pairs = Mutex<[Pair]>([])
    private let seen = Mutex<[[UInt8]]>([])
    private let holding = Mutex<Duration>(.zero)
    private let address: String
    private let port: UInt16

    /// Listens at `address` and `listening`, and leads to `port` there.
    init(_ address: String, listening: UInt16, to port: UInt16) throws {
        self.address = address
        self.port = port
        let listener = try BlockingSocket.listening(listening, address)
        Thread.detachNewThread { [weak self] in
            while let agent = listener.accepted() {
                guard let self else { return }
                Thread.detachNewThread { self.carry(agent) }
            }
        }
    }

    /// The first 37 bytes of each plain connection so far.
    var preambles: [[UInt8]] { seen.withLock { $0 } }

    /// Plain connections that begin from now on are passed on after this time.
    func hold(_ time: Duration) { holding.withLock { $0 = time } }

    /// Cuts the encrypted connections, and nothing else.
    func cutSessions() {
        for pair in pairs.withLock({ $0.filter(\.isSession) }) {
            pair.agent.cut()
            pair.gateway.cut()
        }
    }

    private func carry(_ agent: BlockingSocket) {
        let first = agent.read(exactly: 1)
        guard !first.isEmpty else { return }
        let isSession = first == [0x16]
        var ahead = first
        if !isSession {
            ahead += agent.read(exactly: 36)
            seen.withLock { $0.append(ahead) }
            let time = holding.withLock { $0 }
            if time > .zero { Thread.sleep(forTimeInterval: Double(time.components.seconds)) }
        }
        guard let gateway = try? BlockingSocket.connected(address, port) else { return agent.abort() }
        pairs.withLock { $0.append(Pair(agent: agent, gateway: gateway, isSession: isSession)) }
        guard gateway.write(ahead[...]) else { return agent.cut() }
        Thread.detachNewThread { Self.copy(gateway, agent) }
        Self.copy(agent, gateway)
    }

    private static func copy(_ source: BlockingSocket, _ target: BlockingSocket) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = source.read(into: &buffer)
            if count == 0 { return target.finish() }
            guard count > 0, target.write(buffer[..<count]) else {
                source.abort()
                return target.abort()
            }
        }
    }
}
