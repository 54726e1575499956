import Contracts
import Gateway
import Ledger
import Logging
import ServiceLifecycle

/// A running gateway node: the watcher's verified states go in, route tables come out, and conditions go back.
actor GatewayNode {
    private let watcher: Watcher
    private let witness: WitnessService?
    private let logger: Logger
    var settings: GatewaySettings
    var gateway: Gateway
    /// The meters as they are durable.
    var keeper: UsageKeeper
    /// When agents were asked for their word the last time.
    var claimedAt: Timestamp = 0
    private var reporter: StatusReporter?
    private let reporters = AsyncStream<StatusReporter>.makeStream()

    /// The newest state that was not applied yet.
    private var pending: VerifiedState?
    /// The state whose table is in force.
    var verified: VerifiedState?
    private var nextChange: Timestamp?
    private var lastWanted: [Identifier: DesiredStatus] = [:]
    /// What `lastWanted` was made of.
    private var wantedVersion: Int64 = -1
    private var wantedRunning: Set<Identifier> = []
    private var lastComplaint: String?
    private var isHalted = false

    /// Opens the listeners, so that a port that is taken is said before anything else happens.
    init(_ settings: GatewaySettings, logger: Logger) throws {
        self.settings = settings
        self.logger = logger
        watcher = try settings.ledger.watcher(logger: logger, isPatient: true)
        witness = try Self.witness(settings, watcher, logger)
        keeper = try UsageKeeper(folder: settings.ledger.stateFolder, logger: logger)
        gateway = try Self.started(settings, keeper.book, logger)
    }

    /// Serves until the process is told to end.
    nonisolated func run(reload: @escaping @Sendable () throws -> GatewaySettings) async throws {
        defer { watcher.shutdown() }
        let signals = await Signals(
            logger: logger,
            reload: { await self.reload(reload) },
            drain: { await self.drain() }
        )
        await announce()
        let witnesses = [witness].compactMap { $0 }.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: witnesses + [
                    .init(service: Step { try await self.watcher.run() }),
                    .init(service: Step { await self.follow() }),
                    .init(service: Step { await self.report() }),
                    .init(service: signals, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                logger: quietLogger
            )
        )
        do {
            try await group.run()
        } catch {
            await stop()
            throw error
        }
        await stop()
    }

    private func stop() async {
        keepUsage(await gateway.meters(), at: Posix.now())
        await gateway.stop()
        if let admin = settings.file.admin { Posix.remove(admin) }
    }

    /// The lifecycle's own lines are not for the farmer.
    private nonisolated var quietLogger: Logger {
        var quiet = logger
        if quiet.logLevel > .debug { quiet.logLevel = .error }
        return quiet
    }

    private func announce() {
        let bound = gateway.boundAddresses
        for (what, addresses) in [("http", bound.http), ("https", bound.https), ("tunnel", bound.tunnel)] {
            for address in addresses { logger.info("listening for \(what)", metadata: ["address": "\(address)"]) }
        }
    }

    // MARK: From the ledger to the gateway

    /// Applies every verified state, and the same one again when the clock alone changes its table.
    private func follow() async {
        let wakeups = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let changes = watcher.changes
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await state in changes {
                    await self.receive(state)
                    wakeups.continuation.yield()
                }
            }
            group.addTask {
                while (try? await Task.sleep(for: .seconds(1))) != nil { wakeups.continuation.yield() }
                wakeups.continuation.finish()
            }
            for await _ in wakeups.stream {
                if let fresh = pending {
                    pending = nil
                    verified = fresh
                    apply(fresh)
                } else if let verified, let nextChange, Posix.now() >= nextChange {
                    apply(verified)
                }
                await keepUsage()
                await tellReporter()
            }
            group.cancelAll()
        }
    }

    private func receive(_ state: VerifiedState) {
        pending = state
    }

    private func apply(_ verified: VerifiedState) {
        let node = settings.file.node
        let complaint = registrationComplaint(verified.state)
        if let complaint, complaint != lastComplaint {
            logger.error("\(complaint)", metadata: ["node": "\(node.hex)"])
        }
        lastComplaint = complaint
        let now = Posix.now() + verified.clockLag
        let wasHalted = isHalted
        var halt: String?
        if case .halted(let result, let message) = verified.condition {
            halt = "\(message) (\(result.rawValue))"
            isHalted = true
            if !wasHalted {
                logger.error("the ledger is not followed any more, the last verified state stays in force: \(message)")
            }
        } else {
            isHalted = false
            if wasHalted { logger.notice("the ledger is followed again") }
        }
        nextChange = gateway.apply(
            verified.state,
            at: now,
            .init(
                quorumTime: verified.quorumTime,
                halt: halt,
                clockLag: verified.clockLag,
                alarms: verified.alarms.map { .init(code: $0.code.rawValue, message: $0.message) },
                history: verified.history.map(\.figures).map {
                    .init(entries: $0.entries, verified: $0.verified, state: $0.state)
                }
            )
        )
    }

    /// What about the node's entry on the ledger keeps this process from being that gateway; nil when all is well.
    private func registrationComplaint(_ state: ContractState) -> String? {
        guard let node = state.node(settings.file.node) else {
            return "the ledger does not have this node yet; waiting for it, check `node.id` if it was registered"
        }
        guard let row = node.live else { return "this node is retired on the ledger; it serves nothing any more" }
        if row.details.transportKey != settings.transportKey.publicKey {
            return
                "agents will refuse this gateway: the ledger has another transport key for the node than its key file"
        }
        if let twin = state.twin(row.twin), !twin.keys.contains(settings.key.keyID) {
            return "the ledger will refuse this gateway's reports: `node.key` is no key of the node's twin"
        }
        return nil
    }

    // MARK: From the gateway to the ledger

    private func tellReporter() async {
        guard let verified, let twin = verified.state.node(settings.file.node)?.live?.twin else { return }
        if reporter == nil {
            let fresh = StatusReporter(
                watcher: watcher,
                node: settings.file.node,
                account: twin,
                key: settings.key,
                logger: logger
            )
            reporter = fresh
            reporters.continuation.yield(fresh)
        }
        // A table may have a hundred thousand contracts, so what did not change is not made again.
        let (version, running) = (gateway.conditionsVersion, await gateway.runningContracts())
        if version != wantedVersion || running != wantedRunning {
            wantedVersion = version
            wantedRunning = running
            let wanted = wanted(await gateway.conditions(), running)
            if lastWanted.keys.contains(where: { wanted[$0] == nil }) {
                // The report that ends a contract carries the last of its bytes.
                keepUsage(await gateway.meters(), at: Posix.now())
            }
            lastWanted = wanted
        }
        await reporter?.wantUsage(usageSamples, every: .seconds(settings.file.usage.reportSeconds))
        await reporter?.want(lastWanted, at: verified.size)
    }

    private func wanted(_ conditions: [RouteCondition], _ running: Set<Identifier>) -> [Identifier: DesiredStatus] {
        var wanted: [Identifier: DesiredStatus] = [:]
        for condition in conditions {
            wanted[condition.contract] = DesiredStatus(
                version: condition.version,
                state: condition.state,
                code: condition.code,
                conflict: condition.conflict,
                message: condition.message
            )
        }
        // A contract that ended is stopped when its last stream has ended, and reported then.
        for contract in running where wanted[contract] == nil { wanted[contract] = lastWanted[contract] }
        return wanted
    }

    private func report() async {
        let stream = reporters.stream
        for await reporter in stream { await reporter.run() }
    }

    // MARK: Signals

    private func drain() async {
        await gateway.drain(seconds: GatewaySettings.drainSeconds)
    }

    /// Takes a changed file; an invalid one is refused and the old one stays in force.
    private func reload(_ read: @Sendable () throws -> GatewaySettings) async {
        do {
            let fresh = try read()
            guard fresh != settings else {
                logger.notice("the configuration is unchanged")
                return
            }
            guard fresh.mayReplace(settings) else {
                throw CommandFailure(
                    .configuration,
                    "`ledger`, `node`, `state`, `loops`, `witness` and `bind.admin` change only with a restart; "
                        + "undo that part, or restart"
                )
            }
            try gateway.reconfigure(fresh.gateway)
            settings = fresh
            logger.notice("took the changed configuration")
            announce()
        } catch {
            let failure = CommandFailure(error)
            logger.error(
                "the configuration was not taken, the old one stays in force",
                metadata: ["reason": "\(failure.message)"]
            )
        }
    }

    private static func started(
        _ settings: GatewaySettings,
        _ kept: UsageBook,
        _ logger: Logger
    ) throws -> Gateway {
        let gateway = try Gateway(configuration: settings.gateway, logger: logger)
        gateway.restore(kept.meters, kept.statements)
        try gateway.start()
        return gateway
    }
}

/// A service that is one async function, ended by cancellation.
private struct Step: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await body() }
    }
}
