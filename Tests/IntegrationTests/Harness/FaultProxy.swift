import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A network between a client and a server that a test makes worse: TCP connections are passed on with faults, which may
/// change at any time.
final class FaultProxy: Sendable {
    struct Faults: Sendable {
        /// Every byte arrives so much later, each way.
        var latency: Duration = .zero
        /// Largest write, in bytes; 0 for as they come.
        var slice = 0
        /// New connections are reset.
        var isRefusing = false
        /// One bit of every chunk is turned over.
        var isCorrupting = false
    }

    /// What happens to the connections that stand, until they end; new ones are sound.
    enum Silence: Sendable {
        /// Nothing arrives any more, neither way.
        case both
        /// Nothing of the client arrives any more.
        case toServer
        /// Nothing of the server arrives any more.
        case toClient
    }

    let port: UInt16
    private let state: NIOLockedValueBox<State>
    private let listener: any Channel

    private struct State {
        var faults = Faults()
        var live: [ObjectIdentifier: (client: any Channel, pair: Pair)] = [:]
        var accepted = 0
    }

    /// Both directions of one connection.
    fileprivate final class Pair: Sendable {
        let silent = NIOLockedValueBox((toServer: false, toClient: false))
        let ends = NIOLockedValueBox(Ends())
    }

    private init(port: UInt16, state: NIOLockedValueBox<State>, listener: any Channel) {
        self.port = port
        self.state = state
        self.listener = listener
    }

    deinit { listener.close(promise: nil) }

    /// Listens at an address and passes on to a server, which need not be there yet.
    static func start(_ address: String, port: UInt16, to host: String, _ target: UInt16) async throws -> FaultProxy {
        let state = NIOLockedValueBox(State())
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { client in
                let isRefusing = state.withLockedValue {
                    $0.accepted += 1
                    return $0.faults.isRefusing
                }
                guard !isRefusing else {
                    Self.reset(client)
                    return client.eventLoop.makeSucceededVoidFuture()
                }
                return Self.join(client, host, target, state)
            }
            .bind(host: address, port: Int(port)).get()
        return FaultProxy(port: port, state: state, listener: listener)
    }

    /// Connections since the start.
    var accepted: Int { state.withLockedValue { $0.accepted } }

    /// Changes what happens to every byte and connection from now on.
    func set(_ change: (inout Faults) -> Void) { state.withLockedValue { change(&$0.faults) } }

    /// Connections that stand go silent, without an end. Tells when their ends give them up.
    func silence(_ silence: Silence) -> Silenced {
        let pairs = state.withLockedValue { $0.live.values.map(\.pair) }
        let silenced = Silenced(pairs)
        for pair in pairs {
            pair.silent.withLockedValue {
                if silence != .toClient { $0.toServer = true }
                if silence != .toServer { $0.toClient = true }
            }
        }
        return silenced
    }

    /// Connections that went silent at one moment.
    struct Silenced: Sendable {
        private let pairs: [Pair]
        private let start = ContinuousClock.now

        fileprivate init(_ pairs: [Pair]) { self.pairs = pairs }

        /// How long after that clients, or servers, ended their connections; those that did.
        var byClient: [Duration] { times(\.client) }
        var byServer: [Duration] { times(\.server) }

        private func times(_ end: KeyPath<Ends, ContinuousClock.Instant?>) -> [Duration] {
            pairs.compactMap { pair in pair.ends.withLockedValue { $0[keyPath: end] }.map { $0 - start } }
        }
    }

    /// When the ends of a connection ended it.
    struct Ends: Sendable {
        var client: ContinuousClock.Instant?
        var server: ContinuousClock.Instant?
    }

    /// Connections that stand are reset, both sides.
    func resetAll() {
        for (client, _) in state.withLockedValue({ Array($0.live.values) }) { Self.reset(client) }
    }

    private static func reset(_ channel: any Channel) {
        let linger = linger(l_onoff: 1, l_linger: 0)
        guard let provider = channel as? any SocketOptionProvider else { return channel.close(promise: nil) }
        provider.setSoLinger(linger).whenComplete { _ in channel.close(promise: nil) }
    }

    private static func join(
        _ client: any Channel,
        _ host: String,
        _ target: UInt16,
        _ state: NIOLockedValueBox<State>
    ) -> EventLoopFuture<Void> {
        let pair = Pair()
        let faults: @Sendable () -> Faults = { state.withLockedValue { $0.faults } }
        return ClientBootstrap(group: client.eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .connect(host: host, port: Int(target))
            .flatMap { server -> EventLoopFuture<Void> in
                state.withLockedValue { $0.live[ObjectIdentifier(pair)] = (client, pair) }
                client.closeFuture.whenComplete { _ in
                    state.withLockedValue { $0.live[ObjectIdentifier(pair)] = nil }
                    Self.reset(server)
                }
                server.closeFuture.whenComplete { _ in Self.reset(client) }
                return client.eventLoop.makeCompletedFuture {
                    try client.pipeline.syncOperations.addHandler(
                        Leg(to: server, faults) {
                            pair.silent.withLockedValue { $0.toServer }
                        } onEnd: {
                            pair.ends.withLockedValue { $0.client = $0.client ?? .now }
                        }
                    )
                    try server.pipeline.syncOperations.addHandler(
                        Leg(to: client, faults) {
                            pair.silent.withLockedValue { $0.toClient }
                        } onEnd: {
                            pair.ends.withLockedValue { $0.server = $0.server ?? .now }
                        }
                    )
                }
            }
            .flatMapError { _ in
                Self.reset(client)
                return client.eventLoop.makeSucceededVoidFuture()
            }
    }

    /// One direction: what comes here goes to the other channel, which is of the same loop.
    private final class Leg: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let other: any Channel
        private let faults: () -> Faults
        private let isSilent: () -> Bool
        private let onEnd: () -> Void
        /// Delays keep the order.
        private var due = NIODeadline.now()

        init(
            to other: any Channel,
            _ faults: @escaping () -> Faults,
            isSilent: @escaping () -> Bool,
            onEnd: @escaping () -> Void
        ) {
            self.other = other
            self.faults = faults
            self.isSilent = isSilent
            self.onEnd = onEnd
        }

        func handlerAdded(context: ChannelHandlerContext) { context.read() }
        func channelActive(context: ChannelHandlerContext) { context.read() }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let faults = faults()
            var buffer = unwrapInboundIn(data)
            if faults.isCorrupting, let byte = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) {
                buffer.setInteger(byte ^ 0x10, at: buffer.readerIndex)
            }
            pass(context, faults) { [buffer] in self.write(buffer, faults.slice) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard case .inputClosed? = event as? ChannelEvent else { return }
            onEnd()
            pass(context, faults()) { self.other.close(mode: .output, promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            onEnd()
            context.close(promise: nil)
        }

        /// Does it at its time, unless the line is silent then, and reads on.
        private func pass(_ context: ChannelHandlerContext, _ faults: Faults, _ act: @escaping () -> Void) {
            due = max(due, .now() + TimeAmount(faults.latency))
            guard due > .now() else {
                if !isSilent() { act() }
                return readOn(context)
            }
            context.eventLoop.assumeIsolated().scheduleTask(deadline: due) { if !self.isSilent() { act() } }
            readOn(context)
        }

        private func readOn(_ context: ChannelHandlerContext) {
            // What the other side does not take is not read any further.
            guard other.isWritable || isSilent() else {
                context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.readOn(context) }
                return
            }
            context.read()
        }

        private func write(_ buffer: ByteBuffer, _ slice: Int) {
            var buffer = buffer
            while slice > 0, buffer.readableBytes > slice {
                other.writeAndFlush(buffer.readSlice(length: slice)!, promise: nil)
            }
            other.writeAndFlush(buffer, promise: nil)
        }
    }
}
