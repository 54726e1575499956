import Contracts
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("kill -9 of a ledger under load")
struct LedgerKills {
    @Test(
        "200 kills at random moments lose no acknowledged entry, and no size is ever signed twice",
        .timeLimit(.minutes(10))
    )
    func twoHundred() async throws {
        let seed = UInt64(ProcessInfo.processInfo.environment["WEBGW_SEED"] ?? "") ?? .random(in: 1...UInt64.max)
        print("WEBGW_SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        let rig = try await LedgerRig()
        let (url, ledger) = (rig.url, Identifier(hex: rig.ledgerID)!)
        let memory = ClientMemory()
        let clients = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await memory.write(to: url, ledger: ledger) } }
                group.addTask { try await memory.watch(url) }
                try await group.waitForAll()
            }
        }
        defer { clients.cancel() }

        var phases: [KillPhase: Int] = [:]
        for round in 0..<200 {
            // One in five is killed while it starts, the others somewhere in append, commit, guard, sign and publish.
            let isStarting = Int.random(in: 0..<5, using: &random) == 0
            try await rig.start(isAwaited: !isStarting)
            try await Task.sleep(for: .microseconds(Int.random(in: 0..<60_000, using: &random)))
            try await rig.kill()
            if !isStarting { phases[try KillPhase(rig, memory), default: 0] += 1 }
            if round % 50 == 10 {
                // What a crash leaves is in order at once, before any server has mended it.
                let report = try await StoreCheck.run(directory: rig.directory)
                #expect(report.fault == nil, "round \(round)")
            }
        }
        try await rig.start()
        let before = memory.acknowledged
        try await eventually(within: 30, "entries are acknowledged again") { memory.acknowledged > before }
        clients.cancel()
        _ = try? await clients.value
        memory.note(try await rig.checkpoint())
        try await rig.stop()

        let broken = try await memory.broken(by: try StoredLog(directory: rig.directory))
        #expect(broken.isEmpty, "\(broken)")
        try await rig.check()
        print("\(memory.acknowledged) acknowledged entries are in the log, \(memory.checkpoints) checkpoints seen")
        #expect(memory.acknowledged > 100)
        print("kills by phase: \(phases.map { "\($0.key.rawValue) \($0.value)" }.sorted().joined(separator: ", "))")
        for phase in KillPhase.allCases {
            #expect(phases[phase, default: 0] > 0, "no kill fell into \(phase.rawValue)")
        }
    }
}
