public import Contracts
public import Logging

/// Tells the ledger how each contract stands at this node, as `contract.report` entries of the node's twin.
///
/// Level-triggered: the gateway says what it holds, the verified state says what the ledger knows, and the difference
/// is reported: in small batches, at most once for a contract in 10 s, less often after a refusal. A contract that
/// ended and that the gateway holds no more is reported `removed`.
public actor StatusReporter {
    private struct Pace {
        var notBefore: Duration
        var backoff = Backoff(base: .seconds(10), cap: .seconds(600))
    }

    /// Reports submitted together; a ledger takes 256 entries in one of its batches.
    private static let batch = 64

    private let submitter: Submitter
    private let node: Identifier
    private let account: Identifier
    private let key: SigningKey
    private let interval: Duration
    private let logger: Logger
    private let wakeups: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    private var desired: [Identifier: DesiredStatus] = [:]
    /// Nil until the gateway spoke for the first time: before that nothing is known to be stopped.
    private var appliedSize: UInt64?
    private var paces: [Identifier: Pace] = [:]
    /// Size of the first verified state in which a contract did not name this node any more.
    private var ends: [Identifier: UInt64] = [:]

    /// - Parameters:
    ///   - account: the node's twin.
    ///   - key: one of its operator or owner keys.
    ///   - interval: least time between two reports about one contract.
    public init(
        watcher: Watcher,
        node: Identifier,
        account: Identifier,
        key: SigningKey,
        interval: Duration = .seconds(10),
        logger: Logger = Logger(label: "webgw.status")
    ) {
        submitter = Submitter(watcher: watcher)
        self.node = node
        self.account = account
        self.key = key
        self.interval = interval
        self.logger = logger
        wakeups = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// What the gateway holds for each contract, after it applied the state of `size` entries.
    ///
    /// A contract stays in the dictionary while the gateway still serves or drains anything for it.
    public func want(_ statuses: [Identifier: DesiredStatus], at size: UInt64) {
        desired = statuses
        appliedSize = size
        wakeups.continuation.yield()
    }

    /// Reports until the task is cancelled. Refusals are logged and tried again later, never thrown.
    public func run() async {
        let elapsed = stopwatch(submitter.watcher.configuration.clock)
        let clock = submitter.watcher.configuration.clock
        let changes = submitter.watcher.changes
        let continuation = wakeups.continuation
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await _ in changes { continuation.yield() }
            }
            for await _ in wakeups.stream {
                guard let pause = await reportDue(elapsed) else { continue }
                // What is not yet due again wakes the loop when it is.
                group.addTask {
                    try? await clock.sleep(for: pause)
                    continuation.yield()
                }
            }
            group.cancelAll()
        }
    }

    /// Submits what is due and returns the time until something is due again, if it is.
    private func reportDue(_ elapsed: @Sendable () -> Duration) async -> Duration? {
        while !Task.isCancelled {
            guard let appliedSize, let verified = submitter.watcher.latest else { return nil }
            let plan = StatusPlan(
                state: verified.state,
                node: node,
                desired: desired,
                appliedSize: appliedSize,
                ends: ends
            )
            ends = Dictionary(uniqueKeysWithValues: plan.ended.map { ($0, ends[$0] ?? verified.size) })
            let now = elapsed()
            paces = paces.filter { $0.value.notBefore > now || $0.value.backoff.failures > 0 }
            let due = plan.due
            let ready = due.filter { (paces[$0.contract]?.notBefore ?? .zero) <= now }.prefix(Self.batch)
            guard !ready.isEmpty else {
                return due.compactMap { paces[$0.contract].map { $0.notBefore - now } }.min()
            }
            await report(Array(ready), elapsed)
        }
        return nil
    }

    private func report(_ bodies: [ContractReportBody], _ elapsed: @Sendable () -> Duration) async {
        let results = await submitter.submitAll(bodies.map { .contractReport($0) }, account: account, key: key)
        for (body, result) in zip(bodies, results) {
            var pace = paces[body.contract] ?? Pace(notBefore: .zero)
            switch result {
            case .success(let submission):
                pace.backoff.succeeded()
                pace.notBefore = elapsed() + interval
                logger.debug(
                    "reported",
                    metadata: [
                        "contract.id": "\(body.contract.hex)", "state": "\(body.state.rawValue)",
                        "code": "\(body.code.rawValue)", "index": "\(submission.index)",
                    ]
                )
            case .failure(let error):
                let fraction = submitter.watcher.configuration.random()
                pace.notBefore = elapsed() + pace.backoff.failed(fraction: fraction, atLeast: interval)
                logger.debug(
                    "report refused",
                    metadata: ["contract.id": "\(body.contract.hex)", "reason": "\(error)"]
                )
            }
            paces[body.contract] = pace
        }
    }
}
