import Contracts
import Ledger
import TestSupport
import Testing

@Suite("StatusReporter")
struct StatusReporterTests {
    private let key = TestLog.key(4, 1)

    /// A live ledger with a node and its twin, and a reporter that runs.
    private func reporting(
        interval: Duration = .milliseconds(10),
        _ body: (LiveLedger, StatusReporter, _ twin: Identifier, _ node: Identifier) async throws -> Void
    ) async throws {
        try await LiveLedger.running { live in
            let twin = try await live.twin(key)
            let node = try await live.node(twin: twin, key: key)
            let reporter = StatusReporter(
                watcher: live.watcher,
                node: node,
                account: twin,
                key: key,
                interval: interval
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await reporter.run() }
                defer { group.cancelAll() }
                try await body(live, reporter, twin, node)
            }
        }
    }

    private func create(_ live: LiveLedger, _ node: Identifier, _ twin: Identifier, port: UInt16) async throws
        -> Identifier
    {
        let spec = live.contract(node: node, port: port, key: key)
        let body = EntryBody.contractCreate(ContractCreateBody(spec: spec))
        return try await Submitter(watcher: live.watcher).submit(body, account: twin, key: key).id
    }

    @Test("reports a change once, and removed after the contract ended and the gateway stopped it")
    func life() async throws {
        try await reporting { live, reporter, twin, node in
            let contract = try await create(live, node, twin, port: 7000)
            let watcher = live.watcher
            let wanted = DesiredStatus(version: 1, state: .deployed, code: .accepted, message: "served")
            await reporter.want([contract: wanted], at: try #require(watcher.latest).size)
            let deployed = try #require(
                await watcher.state { $0.state.status(contract: contract, node: node)?.state == .deployed }
            )
            #expect(deployed.state.status(contract: contract, node: node)?.message == "served")
            // The same again is no report: the next entry of the lane is the cancel.
            await reporter.want([contract: wanted], at: deployed.size)
            let cancel = EntryBody.contractCancel(ContractCancelBody(contract: contract))
            let lane = deployed.state.lane(account: twin, key: key.keyID)
            let submission = try await Submitter(watcher: watcher).submit(cancel, account: twin, key: key)
            let cancelled = try #require(watcher.latest)
            #expect(cancelled.state.lane(account: twin, key: key.keyID) == lane + 1)
            // Draining: still held, so not removed.
            await reporter.want([contract: wanted], at: cancelled.size)
            #expect(cancelled.state.status(contract: contract, node: node) != nil)
            await reporter.want([:], at: submission.index + 1)
            let removed = try #require(
                await watcher.state { $0.state.status(contract: contract, node: node) == nil }
            )
            #expect(removed.state.contract(contract)?.isLive == false)
        }
    }

    @Test("reports many contracts in a few batches")
    func many() async throws {
        try await reporting { live, reporter, twin, node in
            let bodies = (0..<80).map { number in
                let spec = live.contract(node: node, port: UInt16(8000 + number), key: key)
                return EntryBody.contractCreate(ContractCreateBody(spec: spec))
            }
            let created = await Submitter(watcher: live.watcher).submitAll(bodies, account: twin, key: key)
            let contracts = try created.map { try $0.get().id }
            let wanted = DesiredStatus(version: 1, state: .deployed, code: .accepted)
            let size = try #require(live.watcher.latest).size
            await reporter.want(Dictionary(uniqueKeysWithValues: contracts.map { ($0, wanted) }), at: size)
            let state = await live.watcher.state { state in
                contracts.allSatisfy { state.state.status(contract: $0, node: node)?.state == .deployed }
            }
            #expect(state != nil)
        }
    }

    @Test("leaves a contract alone for the interval, and then reports the newest status only")
    func interval() async throws {
        try await reporting(interval: .milliseconds(1500)) { live, reporter, twin, node in
            let contract = try await create(live, node, twin, port: 7000)
            let watcher = live.watcher
            let size = try #require(watcher.latest).size
            let error = DesiredStatus(version: 1, state: .error, code: .backendUnreachable)
            await reporter.want([contract: error], at: size)
            let first = try #require(
                await watcher.state { $0.state.status(contract: contract, node: node)?.state == .error }
            )
            let begin = ContinuousClock.now
            let deployed = DesiredStatus(version: 1, state: .deployed, code: .accepted)
            let pending = DesiredStatus(version: 1, state: .pending, code: .backendUnreachable)
            await reporter.want([contract: deployed], at: size)
            await reporter.want([contract: pending], at: size)
            await reporter.want([contract: deployed], at: size)
            let second = try #require(
                await watcher.state { $0.state.status(contract: contract, node: node)?.state == .deployed }
            )
            #expect(ContinuousClock.now - begin > .seconds(1))
            let lane = first.state.lane(account: twin, key: key.keyID)
            #expect(second.state.lane(account: twin, key: key.keyID) == lane + 1)
        }
    }
}
