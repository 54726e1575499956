public import Contracts
public import Logging

/// Tells the ledger how each contract stands at this node, as `contract.report` entries of the node's twin, and what was carried
/// for it, as `usage.report` entries.
///
/// Level-triggered: the gateway says what it holds, the verified state says what the ledger knows, and the difference
/// is reported: in small batches, at most once for a contract in 10 s, less often after a refusal. A contract that
/// ended and that the gateway holds no more is reported `removed`, after its last usage.
public actor StatusReporter {
    private struct Pace {
        var notBefore: Duration
        var backoff = Backoff(base: .seconds(10), cap: .seconds(600))
    }

    /// What one report is about; each kind has a pace of its own.
    private enum Subject: Hashable {
        case status(Identifier)
        case usage(Identifier)
    }

    private struct Report {
        var subject: Subject
        var body: EntryBody
    }

    /// Reports submitted together; a ledger takes 256 entries in one of its batches.
    private static let batch = 64

    private let submitter: Submitter
    private let node: Identifier
    private let account: Identifier
    private let key: SigningKey
    private let interval: Duration
    /// Least time between two reports of usage of one contract that goes on.
    private var usageInterval = Duration.seconds(600)
    private let logger: Logger
    private let wakeups: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    private var desired: [Identifier: DesiredStatus] = [:]
    /// Nil until the gateway spoke for the first time: before that nothing is known to be stopped.
    private var appliedSize: UInt64?
    private var samples: [Identifier: UsageSample] = [:]
    private var paces: [Subject: Pace] = [:]
    /// When the next sleep of the loop ends.
    private var wakesAt: Duration?
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

    /// Totals that are durable at the node, and so never fall below what was reported. Looked at with the next `want`.
    ///
    /// - Parameter interval: least time between two reports of usage of one contract that goes on.
    public func wantUsage(_ samples: [Identifier: UsageSample], every interval: Duration) {
        self.samples = samples
        usageInterval = interval
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
                guard let pause = await reportDue(elapsed), wakesAnew(at: elapsed() + pause, elapsed()) else {
                    continue
                }
                // What is not yet due again wakes the loop when it is.
                group.addTask {
                    try? await clock.sleep(for: pause)
                    continuation.yield()
                }
            }
            group.cancelAll()
        }
    }

    /// Whether a sleep until `time` is needed, because none that ends before it is under way.
    private func wakesAnew(at time: Duration, _ now: Duration) -> Bool {
        if let wakesAt, wakesAt > now, wakesAt <= time { return false }
        wakesAt = time
        return true
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
            let due = due(plan, verified.state)
            let ready = due.filter { (paces[$0.subject]?.notBefore ?? .zero) <= now }.prefix(Self.batch)
            guard !ready.isEmpty else {
                return due.compactMap { paces[$0.subject].map { $0.notBefore - now } }.min()
            }
            await submit(Array(ready), elapsed)
        }
        return nil
    }

    /// What the fold would take now. The last usage of a contract goes before its `removed`: after it a contract without a usage row
    /// takes no more of it.
    private func due(_ plan: StatusPlan, _ state: ContractState) -> [Report] {
        let statuses = plan.due
        let removed = Set(statuses.filter { $0.state == .removed }.map(\.contract))
        let usage = UsagePlan(state: state, node: node, samples: samples, ending: removed).due
        // The last word about a contract does not wait for its turn.
        for contract in removed where paces[.usage(contract)]?.backoff.failures == 0 { paces[.usage(contract)] = nil }
        func report(_ body: UsageReportBody) -> Report {
            Report(subject: .usage(body.contract), body: .usageReport(body))
        }
        return usage.filter { removed.contains($0.contract) }.map(report)
            + statuses.map { Report(subject: .status($0.contract), body: .contractReport($0)) }
            + usage.filter { !removed.contains($0.contract) }.map(report)
    }

    private func submit(_ reports: [Report], _ elapsed: @Sendable () -> Duration) async {
        let results = await submitter.submitAll(reports.map(\.body), account: account, key: key)
        for (report, result) in zip(reports, results) {
            var pace = paces[report.subject] ?? Pace(notBefore: .zero)
            var interval = interval
            if case .usage = report.subject { interval = usageInterval }
            switch result {
            case .success(let submission):
                pace.backoff.succeeded()
                pace.notBefore = elapsed() + interval
                logger.debug(
                    "reported",
                    metadata: ["type": "\(report.body.type)", "index": "\(submission.index)"]
                )
            case .failure(let error):
                let fraction = submitter.watcher.configuration.random()
                pace.notBefore = elapsed() + pace.backoff.failed(fraction: fraction, atLeast: self.interval)
                logger.debug(
                    "report refused",
                    metadata: ["type": "\(report.body.type)", "reason": "\(error)"]
                )
            }
            paces[report.subject] = pace
        }
    }
}
