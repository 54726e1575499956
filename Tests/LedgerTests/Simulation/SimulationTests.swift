import Contracts
import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import Ledger

@Suite("Simulation: a ledger that forks, four witnesses, fifty watchers, a bad network")
struct SimulationTests {
    private static let watchers = 50
    private static let histories: [ForkedLog] = (1...6).map {
        ForkedLog(number: UInt8($0), fork: 2 + $0, size: 12 + 2 * $0)
    }

    /// What all seeds of a run came to.
    private struct Totals {
        var halted = 0
        var forked = 0
        var undecided = 0
        var checked = 0
    }

    @Test("1,000 seeds with a stand-in for signatures: one branch at most reaches quorum, and nobody is fooled")
    func standIn() async throws {
        try await run(seeds: 1_000, keys: .standIn())
    }

    @Test("20 seeds with real keys")
    func realKeys() async throws {
        try await run(seeds: 20, keys: .real())
    }

    private func run(seeds: Int, keys: SimulatedKeys) async throws {
        let environment = ProcessInfo.processInfo.environment["WEBGW_SEED"] ?? ""
        let base = UInt64(environment) ?? UInt64.random(in: 1...UInt64.max >> 1)
        print("WEBGW_SEED=\(base)")
        let memo = FoldMemo()
        var starts: [SimulatedStart] = []
        for history in Self.histories { starts.append(try await SimulatedStart(history, keys)) }
        let totals = NIOLockedValueBox(Totals())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for part in 0..<2 {
                group.addTask { [starts] in
                    for number in stride(from: part, to: seeds, by: 2) {
                        let seed = base &+ UInt64(number)
                        let place = Int(seed % UInt64(starts.count))
                        let world = SimulatedWorld(
                            seed: seed,
                            log: Self.histories[place],
                            keys: keys,
                            start: starts[place],
                            watchers: Self.watchers,
                            memo: memo
                        )
                        try await Self.play(world)
                        try await Self.judge(world, seed, totals)
                        world.end()
                    }
                }
            }
            try await group.waitForAll()
        }
        let sum = totals.withLockedValue { $0 }
        print(
            "\(seeds) histories, \(sum.forked) of them forked; \(sum.halted) watchers halted with evidence, "
                + "\(keys.count.withLockedValue { $0 }) signatures checked"
        )
        #expect(sum.forked > seeds / 2, "most histories have to fork, or the simulation shows nothing")
        #expect(sum.halted > 0)
    }

    /// Random events, then a calm network in which every watcher asks the ledger, the witnesses and a peer.
    private static func play(_ world: SimulatedWorld) async throws {
        for _ in 0..<120 {
            try await world.ledgerStep()
            try await world.watcherStep()
        }
        world.roll { $0.loss = 0 }
        for watcher in 0..<watchers {
            try await world.poll(watcher, kind: 0)
            try await world.poll(watcher, kind: watcher % 2 == 0 ? 7 : 9)
        }
    }

    private static func judge(
        _ world: SimulatedWorld,
        _ seed: UInt64,
        _ totals: NIOLockedValueBox<Totals>
    ) async throws {
        let (quorums, isForked) = world.roll { ($0.quorumBranches, $0.isForked) }
        #expect(quorums.count <= 1, "seed \(seed): both branches reached quorum")
        var halted = 0
        var live: Set<Int> = [0, 1]
        for (number, follower) in world.followers.withLockedValue({ $0 }).enumerated() {
            let position = await follower.position
            let branches = world.log.branches(of: position.root, size: Int(position.size))
            #expect(!branches.isEmpty, "seed \(seed): watcher \(number) trusts a tree that nobody made")
            live.formIntersection(branches)
            guard let halt = position.halt else { continue }
            halted += 1
            #expect(halt.result == .checkpointFork, "seed \(seed): watcher \(number) halted with \(halt.result)")
            let evidence = try #require(world.stores[number].evidence.first, "seed \(seed): a halt without evidence")
            let parsed = try ForkEvidence(parsing: evidence.bytes)
            let verdict = parsed.verify(keyChain: KeyChain([world.log.ledgerVKey]), check: world.keys.check)
            #expect(verdict == .ok, "seed \(seed): watcher \(number) halted with evidence that proves nothing")
        }
        #expect(!live.isEmpty, "seed \(seed): watchers trust two branches")
        totals.withLockedValue {
            $0.halted += halted
            if isForked { $0.forked += 1 }
        }
    }
}
