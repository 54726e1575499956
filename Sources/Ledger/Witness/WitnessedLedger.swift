internal import Contracts
internal import Foundation
internal import NIOConcurrencyHelpers

/// What a witness knows of its ledger: the keys of the state that its watcher verified, and before there is one, those
/// of the pinned genesis.
///
/// Keys that only a key chain ahead of the log names are not among them: such a checkpoint is not cosigned before its
/// entries were found in the verified log. Any task.
final class WitnessedLedger: Sendable {
    private struct Known {
        var genesis: ContractState?
        /// Every key that was seen in a verified state.
        var chain = KeyChain()
        var lastTry: ContinuousClock.Instant?
    }

    /// A ledger that does not answer is asked for its genesis once in this time, however many requests come.
    private static let pause: Duration = .milliseconds(500)

    private let watcher: Watcher
    private let known = NIOLockedValueBox(Known())

    init(watcher: Watcher) {
        self.watcher = watcher
    }

    /// The ledger's name and keys now, and the keys it ever had; nil while not even its genesis could be fetched.
    func current() async -> (log: WitnessedLog, chain: KeyChain)? {
        let genesis = known.withLockedValue { $0.genesis }
        if genesis == nil, mayTry(), let fetched = await fetchGenesis() {
            known.withLockedValue { known in
                known.genesis = fetched
                known.chain.add(fetched.ledgerKeys)
            }
        }
        return known.withLockedValue { known in
            guard let state = watcher.latest?.state ?? known.genesis, let origin = state.meta?.origin else {
                return nil
            }
            known.chain.add(state.ledgerKeys)
            return (WitnessedLog(origin: origin, keys: state.ledgerKeys), known.chain)
        }
    }

    /// The newest checkpoint that the watcher trusts, with its quorum time and every key the ledger ever had; nil before
    /// anything was verified.
    func trusted() async -> (checkpoint: Checkpoint, time: Timestamp, keys: [VerifierKey])? {
        let position = await watcher.follower.position
        guard position.size > 0, let checkpoint = try? Checkpoint(parsing: position.checkpoint) else { return nil }
        return (checkpoint, position.quorumTime, await watcher.follower.keys.keys)
    }

    /// Judges fork evidence under every key of the verified log; what is proven halts the node that verifies beside this
    /// witness.
    func receive(evidence: [UInt8]) async throws -> EvidenceVerdict {
        try await watcher.receive(evidence: evidence)
    }

    private func mayTry() -> Bool {
        known.withLockedValue { known in
            let now = ContinuousClock.now
            if let last = known.lastTry, now - last < Self.pause { return false }
            known.lastTry = now
            return true
        }
    }

    /// Entry 0 of the key chain, believed because its id is the pin and the fold accepts it.
    private func fetchGenesis() async -> ContractState? {
        let leaf = try? await watcher.client.inTurn { source async throws(LedgerClientError) -> [UInt8] in
            try await self.watcher.client.resource(
                "/keyset/0",
                from: source,
                limit: Envelope.longestLeaf,
                deadline: .seconds(3)
            )
        }
        guard let leaf, let envelope = try? Envelope(leaf: leaf), envelope.id == watcher.configuration.ledgerID else {
            return nil
        }
        var state = ContractState()
        guard case .outcome(let outcome) = state.fold(leaf), outcome.code == .ok else { return nil }
        return state
    }
}
