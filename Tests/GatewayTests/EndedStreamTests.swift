import COpenSSL
import Contracts
import Testing

@testable import Gateway
@testable import GatewaySupport

/// Streams of which both directions ended in order, while their last bytes wait at the gateway for a rate of 20 KB/s.
@Suite("Streams that ended in order", .serialized)
struct EndedStreamTests {
    private static let sent = testBytes(100_000)

    /// A gateway whose agent is in the test's own hands.
    private struct Scene {
        let gateway: TestGateway
        let key: PublicKey
        let peer: RawPeer

        init() throws {
            let rate = SharedRate()
            rate.bitsPerSecond = 160_000
            key = try SigningKey(seed: [UInt8](repeating: 5, count: 32)).publicKey
            gateway = try TestGateway(backend: key, rates: (SharedRate(), rate))
            peer = try RawPeer(dialing: gateway, seed: 5)
            guard peer.handshake(), peer.greet() != nil else { throw TestFailure("no session") }
        }

        /// Answers the next stream, once it has ended from the other side, with all bytes and the end.
        func answer() -> Bool {
            guard let open = peer.read(.open), peer.read(.finish)?.stream == open.stream else { return false }
            for part in [sent[..<60_000], sent[60_000...]] { peer.send(.data, open.stream, Array(part)) }
            return peer.send(.finish, open.stream)
        }

        /// Waits until the gateway knows that both directions ended, and holds bytes of the one.
        func holdsBytes() async -> Bool {
            await eventually {
                await gateway.parts.run { $0.streams.allSatisfy { $0.hasEnded && $0.holdsBytes } } == true
            }
        }

        var stuck: Int? {
            get async {
                let loop = gateway.loop
                return await loop.run { loop.stuck.used }
            }
        }

        /// Lets the time of a sweep come, so many seconds after the last byte; says whether the stream is over, and how much is still kept.
        func sweep(after seconds: UInt64) async -> (isOver: Bool, stuck: Int)? {
            let loop = gateway.loop
            return await gateway.parts.run { parts in
                guard let stream = parts.streams.first, let owner = stream.owner as? Handler else { return (true, -1) }
                owner.sweep(loop.now &+ seconds * 1_000_000_000)
                return (stream.isClosed, loop.stuck.used)
            }
        }
    }

    @Test("are delivered to a visitor who is slow, though the session ends before")
    func lateVisitor() async throws {
        let scene = try Scene()
        let visitor = try TestSocket(connectingTo: scene.gateway.visitors.address)
        visitor.finish()
        #expect(scene.answer())
        #expect(await scene.holdsBytes())
        scene.peer.socket.shut()
        #expect(await eventually { await scene.gateway.sessions == 0 })
        #expect(await blocking { visitor.readToEnd() } == Self.sent)
        #expect(await scene.stuck == 0)
        await scene.gateway.stop()
    }

    @Test("are given up, and their memory with them, when nothing of them was taken for five minutes")
    func stuckVisitor() async throws {
        let scene = try Scene()
        let visitor = try TestSocket(connectingTo: scene.gateway.visitors.address)
        visitor.finish()
        #expect(scene.answer())
        #expect(await scene.holdsBytes())
        #expect(await scene.sweep(after: 290)?.isOver == false)
        #expect(await scene.sweep(after: 310) ?? (false, -1) == (true, 0))
        #expect(await scene.gateway.streams == 0)
        await scene.gateway.stop()
    }

    @Test("are given up as well when a workload behind TLS took nothing for five minutes, and not before")
    func stuckWorkload() async throws {
        let scene = try Scene()
        let identity = try TLSIdentity(seed: [UInt8](repeating: 8, count: 32))
        let kept = Lock<[TestSocket]>([])
        let server = try TestServer { socket in
            guard let workload = try? RawPeer(servingTLS: socket, identity), workload.handshake() else { return }
            // It says that it ends, and never reads.
            workload.finish()
            kept.withLock { $0.append(socket) }
        }
        let (gateway, key, address) = (scene.gateway, scene.key, server.address)
        let pin = identity.fingerprint
        let isOpen = await gateway.parts.run { parts in
            let request = StreamOpen(contract: TestGateway.contract, expose: "web", kind: "tcp", peer: "")
            guard let context = try? TLSContext(workload: WorkloadTrust(.pins([pin]))),
                let engine = try? TLSEngine(workload: context, name: "shop.internal", loop: gateway.loop),
                let stream = parts.session(of: key)?.open(request, flow: parts.flow, owner: Nobody())
            else { return false }
            parts.streams.append(stream)
            return (try? SecureLink(stream, at: address, tls: engine, name: "", isProxied: false) { _ in }) != nil
        }
        #expect(isOpen == true)
        #expect(scene.answer())
        #expect(await scene.holdsBytes())
        #expect(await scene.sweep(after: 290)?.isOver == false)
        #expect(await scene.sweep(after: 310) ?? (false, -1) == (true, 0))
        #expect(await gateway.streams == 0)
        await gateway.stop()
    }

    /// Owns a stream until its link does.
    private final class Nobody: StreamOwner {
        func receive(_ bytes: Span<UInt8>) -> Int { 0 }
        func receiveFinish() {}
        func receiveReset(_ code: ResetCode) {}
        func streamCanSend() {}
    }
}

extension TLSIdentity {
    /// SHA-256 of the certificate.
    fileprivate var fingerprint: [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        _ = unsafe X509_digest(certificate, EVP_sha256(), &digest, &length)
        return digest
    }
}
