import Contracts
import Foundation

@testable import Gateway
@testable import GatewaySupport

/// An agent in a test's own hands, at a gateway of its own process; at most 20 s pass without a byte.
typealias RawAgent = RawTunnelPeer<BlockingSocket>

extension BlockingSocket: RawWire {
    func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(into: &buffer)
        return count < 0 ? nil : Array(buffer[..<count])
    }

    func transmit(_ bytes: [UInt8]) -> Bool { write(bytes[...]) }
}

extension RawTunnelPeer<BlockingSocket> {
    convenience init(_ gateway: Deployment.Gateway, context: TLSContext, source: String = "127.0.0.1") throws {
        let socket = try BlockingSocket.connected(gateway.address, gateway.tunnel, source: source)
        socket.setDeadline(seconds: 20)
        try self.init(socket, context)
    }

    convenience init(_ gateway: Deployment.Gateway, key: SigningKey, source: String = "127.0.0.1") throws {
        try self.init(gateway, context: Self.context(key), source: source)
    }
}

/// Runs blocking work on a thread of its own.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}
