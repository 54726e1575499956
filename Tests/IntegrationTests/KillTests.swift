import Contracts
import Foundation
import Ledger
import NIOConcurrencyHelpers
import TestSupport
import Testing

@Suite("kill -9 at random moments")
struct Kills {
    @Test(
        "50 kills of ledger, gateway and agent lose no acknowledged entry, never fork, and need no help",
        .timeLimit(.minutes(10))
    )
    func fifty() async throws {
        let seed = UInt64(ProcessInfo.processInfo.environment["WEBGW_SEED"] ?? "") ?? UInt64.random(in: 1...UInt64.max)
        print("WEBGW_SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        let scene = try await EndToEnd.Scene()
        let deployment = scene.deployment
        let journal = Journal()
        let maker = try TwinMaker(deployment)
        let writer = Task { try await journal.write(maker) }
        let reader = Task { try await journal.watch(maker.client) }
        defer {
            writer.cancel()
            reader.cancel()
        }

        for round in 0..<50 {
            let before = journal.acknowledged.count
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                try await deployment.ledger!.killHard()
                try await deployment.startLedger()
            case 1:
                try await scene.gatewayProcess.killHard()
                scene.gatewayProcess = try deployment.start(scene.gateway)
            default:
                try await scene.agent.killHard()
                scene.agent = try deployment.startAgent(
                    contract: scene.contract,
                    forwards: ["web=\(scene.origin.target)"]
                )
            }
            // The next kill comes at a random number of acknowledgements, so in any phase of the others' recovery.
            let wanted = before + Int.random(in: 1...6, using: &random)
            try await eventually(within: 30, "round \(round): entries are acknowledged again") {
                journal.acknowledged.count >= wanted
            }
        }
        writer.cancel()
        reader.cancel()
        try await eventually(within: 30, "the page is served again without help") {
            await scene.page()?.status == 200
        }

        let acknowledged = journal.acknowledged
        let conflicts = journal.conflicts
        #expect(conflicts.isEmpty, "sizes signed with two roots: \(conflicts)")
        let client = try LedgerClient(urls: [deployment.ledgerURL])
        for entry in acknowledged {
            let index = try Receipt(parsing: entry.receipt).index
            let fresh = try Receipt(parsing: try await client.receipt(index: index))
            let isIncluded = Proofs.verifyInclusion(
                index: index,
                size: fresh.checkpoint.size,
                leafHash: MerkleTree.leafHash(entry.leaf),
                proof: fresh.hashes,
                root: fresh.checkpoint.root
            )
            #expect(fresh.index == index && isIncluded, "entry \(index) is not provable any more")
        }
        print("\(acknowledged.count) acknowledged entries are provable, \(journal.checkpoints) checkpoints seen")
        let replay = try await deployment.run([
            "audit", "replay", deployment.ledgerURL, "--ledger-id", deployment.ledgerID, "--dev", "--json",
        ]).json()
        #expect(replay["error"] == nil)
    }

    /// What clients saw.
    private final class Journal: Sendable {
        private struct Seen {
            var acknowledged: [TwinMaker.Acknowledged] = []
            var roots: [UInt64: Digest] = [:]
            var conflicts: [UInt64] = []
        }

        private let seen = NIOLockedValueBox(Seen())

        var acknowledged: [TwinMaker.Acknowledged] { seen.withLockedValue { $0.acknowledged } }
        var conflicts: [UInt64] { seen.withLockedValue { $0.conflicts } }
        var checkpoints: Int { seen.withLockedValue { $0.roots.count } }

        func write(_ maker: TwinMaker) async throws {
            while !Task.isCancelled {
                guard let entry = try await maker.append() else { continue }
                try note(checkpoint: Receipt(parsing: entry.receipt).checkpoint)
                seen.withLockedValue { $0.acknowledged.append(entry) }
            }
        }

        func watch(_ client: LedgerClient) async throws {
            while !Task.isCancelled {
                guard let bytes = try? await client.checkpoint() else { continue }
                try note(checkpoint: Checkpoint(parsing: bytes))
            }
        }

        private func note(checkpoint: Checkpoint) {
            seen.withLockedValue {
                if let earlier = $0.roots.updateValue(checkpoint.root, forKey: checkpoint.size),
                    earlier != checkpoint.root
                {
                    $0.conflicts.append(checkpoint.size)
                }
            }
        }
    }
}
