import COpenSSL
import Contracts

@testable import Gateway
@testable import GatewaySupport

typealias RawPeer = RawTunnelPeer<TestSocket>

extension TestSocket: RawWire {
    func receive() -> [UInt8]? { read() }
    func transmit(_ bytes: [UInt8]) -> Bool { write(bytes) }
}

extension RawTunnelPeer<TestSocket> {
    /// A server of TLS that asks for no certificate, as a workload may be one.
    convenience init(servingTLS socket: TestSocket, _ identity: TLSIdentity) throws {
        let context = try TLSContext(anyServer: ())
        unsafe SSL_CTX_use_certificate(context.context, identity.certificate)
        unsafe SSL_CTX_use_PrivateKey(context.context, identity.key)
        let engine = try TLSEngine(context, loop: Loop())
        unsafe SSL_set_accept_state(engine.connection)
        self.init(socket, engine)
    }

    /// Dials a gateway as an agent would.
    convenience init(dialing gateway: TestGateway, seed: UInt8) throws {
        let context = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: [UInt8](repeating: seed, count: 32)))
        try self.init(TestSocket(connectingTo: gateway.tunnel.address), context, pinned: gateway.key.publicKey.bytes)
    }

    /// HELLO for the gateway's own contract, and the answer.
    func greet(instance: UInt8 = 1, slot: Int64 = 0) -> Welcome? {
        greet([TestGateway.contract], instance: instance, slot: slot)
    }
}
