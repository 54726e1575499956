import COpenSSL
import Contracts
import Testing

@testable import Gateway

@Suite("TLS of the tunnel")
struct TLSTests {
    private static let serverSeed = [UInt8](repeating: 1, count: 32)
    private static let clientSeed = [UInt8](repeating: 2, count: 32)

    private let loop: Loop
    private let server: TLSContext
    private let client: TLSContext
    private let serverKey: PublicKey
    private let clientKey: PublicKey

    init() throws {
        loop = try Loop()
        server = try TLSContext(tunnel: .server, identity: TLSIdentity(seed: Self.serverSeed))
        client = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: Self.clientSeed))
        serverKey = try SigningKey(seed: Self.serverSeed).publicKey
        clientKey = try SigningKey(seed: Self.clientSeed).publicKey
    }

    private static func move(_ source: TLSEngine, _ target: TLSEngine, pieces: Int = .max) {
        var bytes: [UInt8] = []
        unsafe source.drainOutput {
            bytes = unsafe Array($0)
            return $0.count
        }
        guard !bytes.isEmpty else { return }
        unsafe bytes.withUnsafeBytes { unsafe target.setInput($0) }
        target.keepInput()
    }

    /// Shuttles bytes until both stand or one fails: (client, server).
    private static func shake(_ client: TLSEngine, _ server: TLSEngine) -> (Bool, Bool) {
        var clientDone = false
        var serverDone = false
        for _ in 0..<10 {
            if !clientDone {
                switch client.handshake() {
                case .done: clientDone = true
                case .failed:
                    move(client, server)
                    if case .failed = server.handshake() { return (false, false) }
                    return (false, serverDone)
                case .again: break
                }
            }
            move(client, server)
            if !serverDone {
                switch server.handshake() {
                case .done: serverDone = true
                case .failed:
                    move(server, client)
                    return (clientDone, false)
                case .again: break
                }
            }
            move(server, client)
            if clientDone, serverDone { return (true, true) }
        }
        return (clientDone, serverDone)
    }

    private func engines(pinned: [UInt8]?) throws -> (client: TLSEngine, server: TLSEngine) {
        (try TLSEngine(client, pinned: pinned, loop: loop), try TLSEngine(server, loop: loop))
    }

    @Test("both ends learn the other's Ed25519 key, and bytes pass both ways")
    func succeeds() throws {
        let (client, server) = try engines(pinned: serverKey.bytes)
        #expect(Self.shake(client, server) == (true, true))
        #expect(client.peerKey == serverKey.bytes)
        #expect(server.peerKey == clientKey.bytes)
        let sent = testBytes(300_000)
        let isTaken = unsafe sent.withUnsafeBytes { unsafe client.write($0) }
        #expect(isTaken)
        Self.move(client, server)
        var buffer = [UInt8](repeating: 0, count: 400_000)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe server.read(into: $0) }
        #expect(Array(buffer.prefix(max(0, count))) == sent)
        #expect(unsafe buffer.withUnsafeMutableBytes { unsafe server.read(into: $0) } == -1)
        client.shutdown()
        Self.move(client, server)
        #expect(unsafe buffer.withUnsafeMutableBytes { unsafe server.read(into: $0) } == 0)
    }

    @Test("a small plaintext buffer loses nothing of a large input")
    func smallBuffer() throws {
        let (client, server) = try engines(pinned: serverKey.bytes)
        #expect(Self.shake(client, server) == (true, true))
        let sent = testBytes(100_000)
        _ = unsafe sent.withUnsafeBytes { unsafe client.write($0) }
        Self.move(client, server)
        var received: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1000)
        while received.count < sent.count {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe server.read(into: $0) }
            guard count > 0 else { break }
            received += buffer[..<count]
            if received.count < sent.count { #expect(server.hasPending) }
        }
        #expect(received == sent)
        #expect(!server.hasPending)
    }

    @Test(
        "what a socket does not take counts against the stuck budget to the byte, keeps its order, and is refused beyond it"
    )
    func stuckOutput() throws {
        let (client, server) = try engines(pinned: serverKey.bytes)
        #expect(Self.shake(client, server) == (true, true))
        let sent = testBytes(200_000)
        var wire: [UInt8] = []
        func write(_ range: Range<Int>) -> Bool {
            unsafe Array(sent[range]).withUnsafeBytes { bytes in unsafe client.write(bytes) }
        }
        func take(_ limit: Int) {
            var left = limit
            unsafe client.drainOutput { bytes in
                let count = min(left, bytes.count)
                unsafe wire.append(contentsOf: bytes.prefix(count))
                left -= count
                return count
            }
        }
        #expect(client.keepOutput(on: loop) && loop.stuck.used == 0)
        #expect(write(0..<64_000))
        take(10_000)
        #expect(client.keepOutput(on: loop))
        #expect(loop.stuck.used == client.outputCount && loop.stuck.used > 54_000)
        // What comes later goes behind it.
        #expect(write(64_000..<128_000))
        take(30_000)
        #expect(client.keepOutput(on: loop))
        #expect(loop.stuck.used == client.outputCount && loop.stuck.used > 88_000)
        loop.stuck.limit = loop.stuck.used + 1000
        #expect(write(128_000..<200_000))
        #expect(!client.keepOutput(on: loop))
        take(.max)
        take(.max)
        #expect(loop.stuck.used == 0 && client.outputCount == 0)
        unsafe wire.withUnsafeBytes { unsafe server.setInput($0) }
        server.keepInput()
        var buffer = [UInt8](repeating: 0, count: 300_000)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe server.read(into: $0) }
        #expect(Array(buffer.prefix(max(0, count))) == sent)

        var other: TLSEngine? = try engines(pinned: nil).client
        #expect(other.map { $0.putAhead([1, 2, 3].span) } == true)
        #expect(other?.keepOutput(on: loop) == true && loop.stuck.used == 3)
        other = nil
        #expect(loop.stuck.used == 0, "what a connection kept ends with it")
    }

    @Test("the agent refuses a gateway with another key than the pinned one")
    func wrongKey() throws {
        let (client, server) = try engines(pinned: clientKey.bytes)
        let result = Self.shake(client, server)
        #expect(!result.0)
        #expect(!server.isEstablished)
    }

    @Test("a chain of two certificates is refused, even when the first is right")
    func chain() throws {
        let identity = try TLSIdentity(seed: Self.clientSeed)
        let chained = try TLSContext(tunnel: .client, identity: identity)
        let other = try TLSIdentity(seed: Self.serverSeed)
        unsafe X509_up_ref(other.certificate)
        #expect(
            unsafe SSL_CTX_ctrl(
                chained.context,
                SSL_CTRL_EXTRA_CHAIN_CERT,
                0,
                UnsafeMutableRawPointer(other.certificate)
            ) == 1
        )
        let client = try TLSEngine(chained, pinned: serverKey.bytes, loop: loop)
        let server = try TLSEngine(self.server, loop: loop)
        #expect(!Self.shake(client, server).1)
        #expect(server.peerKey.isEmpty)
    }

    @Test("an agent without a certificate is refused")
    func noCertificate() throws {
        let bare = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: Self.clientSeed))
        let client = try TLSEngine(bare, pinned: serverKey.bytes, loop: loop)
        unsafe SSL_certs_clear(client.connection)
        let server = try TLSEngine(self.server, loop: loop)
        #expect(!Self.shake(client, server).1)
    }

    @Test("a certificate with a P-256 key is refused")
    func otherKeyType() throws {
        let bare = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: Self.clientSeed))
        _ = unsafe webgw_ctx_signature_algorithms(bare.context, "ed25519:ecdsa_secp256r1_sha256")
        let key = unsafe try #require(webgw_p256_key())
        defer { unsafe EVP_PKEY_free(key) }
        let certificate = unsafe try #require(TLSIdentity.selfSigned(key, digest: EVP_sha256()))
        defer { unsafe X509_free(certificate) }
        let client = try TLSEngine(bare, pinned: serverKey.bytes, loop: loop)
        unsafe SSL_certs_clear(client.connection)
        #expect(unsafe SSL_use_certificate(client.connection, certificate) == 1)
        #expect(unsafe SSL_use_PrivateKey(client.connection, key) == 1)
        // Even a server that would accept the signature refuses the key.
        let lenient = try TLSContext(tunnel: .server, identity: TLSIdentity(seed: Self.serverSeed))
        _ = unsafe webgw_ctx_signature_algorithms(lenient.context, "ed25519:ecdsa_secp256r1_sha256")
        let server = try TLSEngine(lenient, loop: loop)
        #expect(!Self.shake(client, server).1)
        #expect(server.peerKey.isEmpty)
    }

    @Test("TLS 1.2 is refused")
    func oldVersion() throws {
        let old = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: Self.clientSeed))
        _ = unsafe webgw_ctx_min_version(old.context, TLS1_2_VERSION)
        _ = unsafe webgw_ctx_max_version(old.context, TLS1_2_VERSION)
        let client = try TLSEngine(old, pinned: serverKey.bytes, loop: loop)
        let server = try TLSEngine(self.server, loop: loop)
        #expect(Self.shake(client, server) == (false, false))
    }

    @Test("another ALPN name, or none, is refused by both ends", arguments: [[UInt8]("\u{8}http/1.1".utf8), []])
    func otherProtocol(_ names: [UInt8]) throws {
        let other = try TLSContext(tunnel: .client, identity: TLSIdentity(seed: Self.clientSeed))
        unsafe SSL_CTX_set_alpn_protos(other.context, names, UInt32(names.count))
        let client = try TLSEngine(other, pinned: serverKey.bytes, loop: loop)
        let server = try TLSEngine(self.server, loop: loop)
        #expect(!Self.shake(client, server).1)
    }

    @Test("garbage instead of a ClientHello ends the handshake")
    func garbage() throws {
        let server = try TLSEngine(self.server, loop: loop)
        let bytes = testBytes(600)
        unsafe bytes.withUnsafeBytes { unsafe server.setInput($0) }
        server.keepInput()
        guard case .failed = server.handshake() else {
            Issue.record("the handshake goes on")
            return
        }
    }

    @Test("no session ticket is sent")
    func tickets() throws {
        let (client, server) = try engines(pinned: serverKey.bytes)
        #expect(Self.shake(client, server) == (true, true))
        #expect(server.outputCount == 0)
        #expect(!client.hasPending)
    }
}
