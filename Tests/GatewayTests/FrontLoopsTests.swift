import Contracts
import Testing

@testable import Gateway
@testable import GatewaySupport

@Suite("Several event loops")
struct FrontLoopsTests {
    private static let peerKey = try! SigningKey(seed: [UInt8](repeating: 8, count: 32)).publicKey

    /// An agent that answers every visitor with a reset, counts them, and after some says that its workload is down.
    private final class Refuser: Sendable {
        let opened = Lock(0)

        init(_ world: FrontWorld, downAfter limit: Int) throws {
            let transportKey = try SigningKey(seed: [UInt8](repeating: 6, count: 32)).publicKey
            let address = try #require(SocketAddress(world.gateway.boundAddresses.tunnel[0]))
            let (contract, opened) = (world.contract, opened)
            startThread {
                guard
                    let identity = try? TLSIdentity(seed: [UInt8](repeating: 8, count: 32)),
                    let context = try? TLSContext(tunnel: .client, identity: identity),
                    let socket = try? TestSocket(connectingTo: address),
                    let peer = try? RawPeer(socket, context, pinned: transportKey.bytes),
                    peer.handshake(), peer.greet([contract]) != nil
                else { return }
                while let open = peer.read(.open) {
                    let count = opened.withLock { count in
                        count += 1
                        return count
                    }
                    if count == limit {
                        let down: JSONObject = [
                            "backends": .array([
                                .object([
                                    "contract": .string(contract.hex), "expose": .string("web"), "ok": .boolean(false),
                                ])
                            ])
                        ]
                        peer.send(.health, 0, down.canonical)
                    }
                    peer.send(.reset, open.stream, [0, 2])
                }
            }
        }
    }

    /// A visitor that one loop meets, wherever the kernel would have put it.
    private static func visit(_ world: FrontWorld, loop: Int) async throws -> Int {
        let listener = try ListeningSocket(SocketAddress("127.0.0.1:0")!)
        let socket = try TestSocket(connectingTo: listener.address)
        var accepted: (descriptor: Int32, peer: SocketAddress?)?
        while accepted == nil { accepted = Socket.accept(listener.descriptor) }
        let (descriptor, peer) = try #require(accepted)
        let visitor = Visitor(peer: try #require(peer), local: listener.address)
        let isTaken = world.gateway.core.onFront(loop) { front in
            if front.admitVisitor(descriptor) { front.serveHTTP(descriptor, visitor, []) }
        }
        #expect(isTaken)
        // Not to be sent twice, so that the gateway does not ask another agent.
        socket.say("POST / HTTP/1.1\r\nHost: \(FrontWorld.host)\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
        return await blocking { socket.message()?.status ?? 0 }
    }

    @Test("balance and health look at the agents of all loops, whichever loop meets the visitor")
    func balance() async throws {
        let server = try TestServer.page()
        let backends = [
            Backend(id: "a", target: .key(Self.peerKey)),
            Backend(id: "b", target: .key(try SigningKey(seed: [UInt8](repeating: 5, count: 32)).publicKey)),
        ]
        let world = try await FrontWorld(["web": server.address], loops: 2) { [$0.http(backends: backends)] }
        let refuser = try Refuser(world, downAfter: 20)
        #expect(
            await comesTrue {
                await Self.sees(world) { front in
                    front.registry.sessions(for: world.contract).contains { $0.key == Self.peerKey }
                        || front.registry.remotes(for: world.contract).contains { $0.key == Self.peerKey }
                }
            }
        )
        // Each loop deals in turn, so each agent gets half of what each loop met.
        for loop in [0, 1] {
            var served = 0
            for _ in 0..<20 where try await Self.visit(world, loop: loop) == 200 { served += 1 }
            #expect(served == 10, "loop \(loop)")
            #expect(refuser.opened.withLock { $0 } == 10 * (loop + 1), "loop \(loop)")
        }
        // It said with the last of these that its workload is down; then the other one serves all, on both loops.
        #expect(
            await comesTrue {
                await Self.sees(world) { front in
                    front.registry.sessions(for: world.contract).contains { !$0.unhealthy.isEmpty }
                        || front.registry.remotes(for: world.contract).contains { !$0.unhealthy.isEmpty }
                }
            }
        )
        for loop in [0, 1] {
            for _ in 0..<10 { #expect(try await Self.visit(world, loop: loop) == 200, "loop \(loop)") }
        }
        #expect(refuser.opened.withLock { $0 } == 20)
        await world.stop()
    }

    @Test("loops take sessions in turn, so that an agent's two sessions are on different loops")
    func sessionsInTurn() async throws {
        let server = try TestServer.page()
        let world = try await FrontWorld(["web": server.address], loops: 2) { [$0.http()] }
        #expect(await Self.sees(world) { $0.registry.sessions(for: world.contract).count == 1 })
        for loop in [0, 1] { #expect(try await Self.visit(world, loop: loop) == 200, "loop \(loop)") }
        await world.stop()
    }

    /// Whether every loop sees it.
    private static func sees(_ world: FrontWorld, _ what: @escaping @Sendable (Front) -> Bool) async -> Bool {
        await withCheckedContinuation { continuation in
            world.gateway.core.gather(what, then: { continuation.resume(returning: $0.allSatisfy { $0 }) })
        }
    }
}
