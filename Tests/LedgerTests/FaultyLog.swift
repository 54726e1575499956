import Contracts
import NIOConcurrencyHelpers

@testable import Ledger

/// The real store with faults in front of it: a call can fail before it does anything, or after it took effect.
final class FaultyLog: CommitLog {
    enum Call: String, Sendable, CaseIterable {
        case head
        case commit
        case permitSigning
        case publish
        case receipts
        case index
    }

    enum Moment: String, Sendable, CaseIterable {
        case before
        case after
    }

    struct Fault: Error, Hashable {
        var call: Call
        var moment: Moment
    }

    private let store: LedgerStore
    private let plan: Plan

    /// What is to fail, shared with the test.
    final class Plan: Sendable {
        private let state = NIOLockedValueBox<(faults: [Fault: Int], met: Int)>(([:], 0))

        /// Lets the next `count` calls fail at that moment.
        func fail(_ call: Call, _ moment: Moment, count: Int = 1) {
            state.withLockedValue { $0.faults[Fault(call: call, moment: moment)] = count }
        }

        func heal() { state.withLockedValue { $0.faults = [:] } }

        /// Number of faults that were met.
        var met: Int { state.withLockedValue { $0.met } }

        /// Puts the faults in front of a store.
        var interpose: @Sendable (LedgerStore) -> any CommitLog { { FaultyLog($0, self) } }

        func check(_ call: Call, _ moment: Moment) throws {
            let fault = Fault(call: call, moment: moment)
            try state.withLockedValue { state in
                guard let left = state.faults[fault], left > 0 else { return }
                state.faults[fault] = left - 1
                state.met += 1
                throw fault
            }
        }
    }

    init(_ store: LedgerStore, _ plan: Plan) {
        self.store = store
        self.plan = plan
    }

    private func calling<Value: Sendable>(
        _ call: Call,
        _ body: () async throws -> Value
    ) async throws -> Value {
        try plan.check(call, .before)
        let value = try await body()
        try plan.check(call, .after)
        return value
    }

    func head() async throws -> LogHead { try await calling(.head) { try await store.head() } }

    func commit(_ batch: Batch) async throws { try await calling(.commit) { try await store.commit(batch) } }

    func permitSigning(size: UInt64, root: Digest) async throws {
        try await calling(.permitSigning) { try await store.permitSigning(size: size, root: root) }
    }

    func publish(checkpoint: [UInt8], size: UInt64) async throws {
        try await calling(.publish) { try await store.publish(checkpoint: checkpoint, size: size) }
    }

    func index(of id: Identifier) async throws -> UInt64? {
        try await calling(.index) { try await store.index(of: id) }
    }

    func receipts(of indices: [UInt64]) async throws -> [[UInt8]] {
        try await calling(.receipts) { try await store.receipts(of: indices) }
    }
}
