internal import Contracts
internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle

/// A ledger: the sequencer, its store and the HTTP server in front of them.
///
/// The HTTP server has one event loop thread of its own; the database is never touched on it.
public struct LedgerService: Service {
    private let directory: String
    private let listen: HTTPService.Listen
    private let limits: ServiceLimits
    private let mirrors: [String]
    private let clock: @Sendable () -> Int64
    private let onReady: @Sendable (String, Int) async -> Void
    private let interpose: @Sendable (LedgerStore) -> any CommitLog
    private let logger: Logger
    private let opened: LedgerDirectory.Opened
    private let cluster: ClusterMember?
    private let clusterOptions: ClusterOptions

    /// Opens the ledger, so that everything that is wrong with it is known before anything runs.
    ///
    /// - Parameters:
    ///   - dev: allows a ledger whose policy is `quorum none`.
    ///   - cluster: used if the directory is that of a member of a cluster.
    ///   - mirrors: URLs of copies of the log that are asked at the start whether they have seen a larger tree.
    ///   - onReady: called once with the host and the port that are bound, when requests are answered.
    /// - Throws: `LedgerDirectoryError` or `StoreError`.
    public init(
        directory: String,
        listen: HTTPService.Listen,
        dev: Bool,
        limits: ServiceLimits = ServiceLimits(),
        cluster: ClusterOptions = ClusterOptions(),
        mirrors: [String] = [],
        logger: Logger,
        onReady: @escaping @Sendable (_ host: String, _ port: Int) async -> Void
    ) throws {
        try self.init(
            directory: directory,
            listen: listen,
            dev: dev,
            limits: limits,
            cluster: cluster,
            mirrors: mirrors,
            clock: { Int64(Date().timeIntervalSince1970) },
            interpose: { $0 },
            logger: logger,
            onReady: onReady
        )
    }

    /// For tests: with another clock, and something between the sequencer and the store.
    init(
        directory: String,
        listen: HTTPService.Listen,
        dev: Bool,
        limits: ServiceLimits,
        cluster: ClusterOptions = ClusterOptions(),
        mirrors: [String] = [],
        clock: @escaping @Sendable () -> Int64,
        interpose: @escaping @Sendable (LedgerStore) -> any CommitLog,
        logger: Logger,
        onReady: @escaping @Sendable (_ host: String, _ port: Int) async -> Void
    ) throws {
        self.directory = directory
        self.listen = listen
        self.limits = limits
        self.mirrors = mirrors
        self.clock = clock
        self.onReady = onReady
        self.interpose = interpose
        self.logger = logger
        clusterOptions = cluster
        opened = try LedgerDirectory.open(at: directory, isDevelopment: dev)
        self.cluster = try ClusterMember(directory: directory, opened: opened, mirrors: mirrors, logger: logger)
    }

    /// What an operator should know about the witness policy before the ledger runs; nil when all is well.
    public var policyWarning: String? {
        guard let policy = opened.stored.state.policy else { return nil }
        switch policy.quorum {
        case .none:
            return "no witness vouches for this ledger; its operator could show two histories; for trials only"
        case .of(let k, let keys) where policy.allowsDisjointQuorums:
            return
                "\(k) of \(keys.count) witnesses make a quorum: two quorums need not share one, so two histories could "
                + "both be cosigned; set a policy with more than half of them"
        case .of:
            return nil
        }
    }

    /// Serves until the task is shut down gracefully: then it takes no more connections, answers what is open, and
    /// ends with everything on the disk.
    ///
    /// - Throws: when the address cannot be bound, or when going on could sign a second history.
    public func run() async throws {
        let board = CheckpointBoard()
        let collector = CosignatureCollector(
            store: opened.store,
            roster: opened.signer.roster,
            limits: limits,
            clock: clock,
            logger: logger
        )
        let sequencer = Sequencer(
            resuming: opened.stored,
            log: cluster?.log ?? interpose(opened.store),
            publisher: CheckpointPublisher(store: opened.store, signer: opened.signer, collector: collector),
            board: board,
            limits: limits,
            clock: clock,
            logger: logger
        )
        let snapshots = SnapshotKeeper(
            folder: SnapshotFolder(path: "\(directory)/snapshots"),
            store: opened.store,
            sequencer: sequencer,
            board: board,
            limits: limits,
            logger: logger
        )
        let desk = SubmissionDesk(sequencer, limits)
        let intake = SubmissionIntake(desk, limits)
        let api = LedgerAPI(
            store: opened.store,
            sequencer: sequencer,
            board: board,
            snapshots: snapshots,
            limits: limits,
            limiter: intake.limiter,
            logger: logger
        )
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result: Result<Void, any Error>
        do {
            try await withGracefulShutdownHandler {
                try await run(
                    HTTPService.application(
                        api,
                        listen,
                        limits,
                        on: group,
                        inFront: { [SubmissionHandler(intake: intake)] },
                        logger,
                        onReady
                    ),
                    sequencer,
                    board,
                    snapshots
                )
            } onGracefulShutdown: {
                // Long polls end at once, so that the server does not wait for them.
                board.close()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        board.close()
        cluster?.shutdown()
        await collector.shutdown()
        try await desk.shutdown()
        try await group.shutdownGracefully()
        try opened.store.close()
        opened.lock.release()
        try result.get()
    }

    private func run(
        _ application: Application<LedgerAPI>,
        _ sequencer: Sequencer,
        _ board: CheckpointBoard,
        _ snapshots: SnapshotKeeper
    ) async throws {
        let size = opened.stored.head.size
        let clearance = SigningClearance(
            directory: directory,
            store: opened.store,
            onlookers: { [mirrors, roster = opened.signer.roster] in
                roster.onlookers + mirrors.map { Onlooker(copy: $0) }
            },
            logger: logger
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                guard let cluster else { return try await sequencer.run(after: clearance, from: opened.stored) }
                guard let lock = try await LedgerDirectory.takeWriterLock(directory) else {
                    throw LedgerDirectoryError.written(directory)
                }
                defer { lock.release() }
                try await cluster.run(sequencer, clusterOptions, listen: listen)
            }
            group.addTask { try await snapshots.run() }
            group.addTask {
                // A crash may have left a committed head without its checkpoint: it is shown before anybody can ask.
                // With a full disk it cannot be signed; then the older one is served. Witnesses ask this server before they
                // cosign, so it does not wait for them.
                if opened.stored.state.policy?.quorum == WitnessPolicy.Quorum.none {
                    _ = await board.checkpoint(after: size - 1, wait: .seconds(5))
                }
                // Submissions that are open at a shutdown are answered before the sequencer stops.
                do {
                    try await application.run()
                } catch {
                    await sequencer.stop()
                    throw error
                }
                await sequencer.stop()
            }
            do {
                while try await group.next() != nil {}
            } catch {
                group.cancelAll()
                throw error
            }
        }
    }
}
