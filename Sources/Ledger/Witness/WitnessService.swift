internal import Contracts
internal import Foundation
internal import Hummingbird
internal import HummingbirdCore
public import Logging
internal import NIOPosix
public import ServiceLifecycle

/// The HTTP server of a witness. The watcher beside it has to run, as the ledger's keys come from what it verified.
///
/// One event loop thread of its own; the memory of what was cosigned is `witness.sqlite` in the state directory, which
/// the watcher holds for one process.
public struct WitnessService: Service {
    public static let fileName = "witness.sqlite"

    private let api: WitnessAPI
    private let database: WitnessDatabase
    private let listen: [HTTPService.Listen]
    private let limits: ServiceLimits
    private let logger: Logger
    private let onReady: @Sendable (String, Int) async -> Void

    /// Opens the memory of what was cosigned.
    ///
    /// - Parameter onReady: called for each address with the host and the port that are bound.
    /// - Throws: `StoreError`, or an error of the disk.
    public init(
        identity: WitnessIdentity,
        watcher: Watcher,
        listen: [HTTPService.Listen],
        limits: ServiceLimits = ServiceLimits(),
        logger: Logger,
        onReady: @escaping @Sendable (_ host: String, _ port: Int) async -> Void
    ) throws {
        database = try WitnessDatabase(path: "\(watcher.configuration.stateDirectory)/\(Self.fileName)")
        api = WitnessAPI(
            witness: Witness(
                identity: identity,
                store: database,
                check: .ed25519,
                clock: watcher.configuration.now
            ),
            ledger: WitnessedLedger(watcher: watcher),
            limits: limits,
            logger: logger
        )
        self.listen = listen
        self.limits = limits
        self.logger = logger
        self.onReady = onReady
    }

    /// Serves until the task is shut down gracefully.
    ///
    /// - Throws: when an address cannot be bound.
    public func run() async throws {
        try await recall()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for address in listen {
                    let application = HTTPService.application(api, address, limits, on: group, logger, onReady)
                    tasks.addTask { try await application.run() }
                }
                try await tasks.waitForAll()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await group.shutdownGracefully()
        try database.close()
        try result.get()
    }

    /// Before anything is answered: a memory that is gone is no licence to begin anew.
    private func recall() async throws {
        guard let trusted = await api.ledger.trusted() else { return }
        let (checkpoint, time, keys) = trusted
        if try await api.witness.recall(checkpoint, of: keys, at: time) {
            logger.warning(
                "nothing is remembered of what was cosigned; beginning with the checkpoint that this node trusts",
                metadata: ["size": "\(checkpoint.size)"]
            )
        }
    }
}
