import Contracts
import TestSupport
import Testing

@testable import Ledger

@Suite("StatusPlan")
struct StatusPlanTests {
    private let node: Identifier
    private let contract: Identifier
    private let twin: Identifier
    private let log: TestLog
    private let key = TestLog.key(5, 1)

    init() throws {
        var log = TestLog()
        twin = log.appendTwin(key)
        let farm = log.append(.farmCreate(FarmCreateBody(name: "farm")), account: twin, key: key)
        let offer = Offer(
            bps: 1000,
            conns: 10,
            kinds: [.tcp],
            modes: [.reverseTLS],
            price: Price(currency: "EUR", gib: "0", hour: "0"),
            tcp: [PortRange(from: 1, to: 60_000)]
        )
        let details = NodeDetails(
            domains: [],
            endpoints: [Endpoint(host: "127.0.0.1", port: 7443, proto: .tunnel)],
            offer: offer,
            region: Region(country: "BE"),
            transportKey: key.publicKey
        )
        let register = NodeRegisterBody(details: details, farm: farm, name: "node", twin: twin)
        node = log.append(.nodeRegister(register), account: twin, key: key)
        let spec = ContractSpec(
            backends: [Backend(id: "b1", target: .key(key.publicKey))],
            conn: .reverseTLS,
            expose: [Expose(id: "p", kind: .tcp, backends: ["b1"], ports: [PortRange(from: 7000, to: 7000)])],
            gateways: [node],
            limits: ContractLimits(bps: 1000, conns: 10),
            notBefore: TestLog.start,
            notAfter: TestLog.start + 3600
        )
        contract = log.append(.contractCreate(ContractCreateBody(spec: spec)), account: twin, key: key)
        self.log = log
    }

    private func state(_ log: TestLog) -> ContractState {
        var state = ContractState()
        for leaf in log.leaves {
            guard case .outcome(let outcome) = state.fold(leaf), outcome.code == .ok else {
                Issue.record("an entry of the test has no effect")
                return state
            }
        }
        return state
    }

    private func due(
        _ desired: DesiredStatus?,
        in log: TestLog,
        applied: UInt64? = nil,
        ends: [Identifier: UInt64] = [:]
    ) -> [ContractReportBody] {
        let state = state(log)
        return StatusPlan(
            state: state,
            node: node,
            desired: desired.map { [contract: $0] } ?? [:],
            appliedSize: applied ?? state.size,
            ends: ends
        ).due
    }

    @Test("reports a change once: after the fold of the report nothing is due")
    func once() throws {
        let wanted = DesiredStatus(version: 1, state: .deployed, code: .accepted)
        let report = try #require(due(wanted, in: log).first)
        #expect(report.state == .deployed)
        #expect(report.contract == contract)
        var log = log
        log.append(.contractReport(report), account: twin, key: key)
        #expect(due(wanted, in: log).isEmpty)
    }

    @Test("reports nothing that the fold would refuse, or about which the gateway says nothing")
    func silence() {
        #expect(due(nil, in: log).isEmpty)
        #expect(due(DesiredStatus(version: 2, state: .deployed, code: .accepted), in: log).isEmpty)
        #expect(due(DesiredStatus(version: 1, state: .deployed, code: .hostnameConflict), in: log).isEmpty)
        #expect(due(DesiredStatus(version: 1, state: .pending, code: .pending), in: log).isEmpty)
        #expect(due(DesiredStatus(version: 1, state: .removed, code: .removed), in: log).isEmpty)
    }

    @Test("cuts the message to what an entry can carry")
    func message() throws {
        let text = "line\nbreak \u{7}" + String(repeating: "\u{20AC}", count: 200)
        let wanted = DesiredStatus(version: 1, state: .error, code: .internalError, message: text)
        let report = try #require(due(wanted, in: log).first)
        #expect(report.message.utf8.count <= 256)
        #expect(report.message.hasPrefix("line break  \u{20AC}"))
        var log = log
        log.append(.contractReport(report), account: twin, key: key)
        #expect(state(log).status(contract: contract, node: node)?.state == .error)
    }

    private func usageDue(_ bytes: Int64, at time: Timestamp, isLast: Bool = false, in log: TestLog) -> UsageReportBody?
    {
        let sample = UsageSample(bytesIn: bytes, bytesOut: 0, conns: 1, time: time)
        let ending: Set<Identifier> = isLast ? [contract] : []
        return UsagePlan(state: state(log), node: node, samples: [contract: sample], ending: ending).due.first
    }

    @Test("a last report of usage is due at once, though one went before it and the ledger's time stood still since")
    func lastUsage() throws {
        var log = log
        let first = try #require(usageDue(100, at: TestLog.start + 3, in: log))
        log.append(.usageReport(first), account: twin, key: key)
        #expect(usageDue(100, at: TestLog.start + 4, isLast: true, in: log) == nil)
        #expect(usageDue(200, at: TestLog.start + 4, in: log) == nil)
        let last = try #require(usageDue(200, at: TestLog.start + 4, isLast: true, in: log))
        log.append(.usageReport(last), account: twin, key: key)
        #expect(state(log).usage(contract: contract, node: node)?.bytesIn == 200)
        // One that goes on is reported again when the ledger's time has moved.
        #expect(usageDue(300, at: TestLog.start + 5, in: log) == nil)
        log.appendTick(TestLog.start + 60)
        #expect(usageDue(300, at: TestLog.start + 61, in: log)?.usage.until == TestLog.start + 59)
    }

    @Test("reports removed when the gateway saw the end and holds nothing of the contract any more")
    func removed() throws {
        var log = log
        log.append(.contractCancel(ContractCancelBody(contract: contract)), account: twin, key: key)
        let end = UInt64(log.leaves.count)
        let draining = DesiredStatus(version: 1, state: .deployed, code: .accepted)
        #expect(due(draining, in: log).isEmpty)
        #expect(due(nil, in: log, applied: end - 1).isEmpty)
        #expect(due(nil, in: log, applied: end).first?.state == .removed)
        // The log goes on; what counts is the size at which the end was seen.
        log.appendTick(TestLog.start + 60)
        #expect(due(nil, in: log, applied: end).isEmpty)
        let report = try #require(due(nil, in: log, applied: end, ends: [contract: end]).first)
        log.append(.contractReport(report), account: twin, key: key)
        #expect(state(log).status(contract: contract, node: node) == nil)
    }
}
