import Contracts
import Foundation
import GRDB
import TestSupport
import Testing

@testable import Ledger

extension TestLedger.Made {
    /// Verifies everything the directory holds, with nothing but the ledger id and the key from outside: each leaf,
    /// the tree at every signed size, each tile, the fold, the outcomes and the state rows.
    func check() throws {
        let path = folder.path("ledger/ledger.db")
        let store = try LedgerStore(path: path)
        defer { try? store.close() }
        let stored = try store.restore()
        let judge = CheckpointJudge(
            origin: TestLedger.origin,
            ledgerKeys: [verifierKey] + laterKeys,
            policy: .none,
            dev: true
        )
        try store.readBlocking { database in
            let entries = try Row.fetchAll(
                database,
                sql: "SELECT idx, leaf, leaf_hash, txid, code FROM entry ORDER BY idx"
            )
            let outcomes = try Data.fetchAll(database, sql: "SELECT canonical FROM outcome ORDER BY idx").map {
                [UInt8]($0)
            }
            try #require(entries.count == outcomes.count)
            var checkpoints: [UInt64: Checkpoint] = [:]
            for note in try Data.fetchAll(database, sql: "SELECT note FROM checkpoint ORDER BY size") {
                let checkpoint = try judge.judge(note: [UInt8](note), localNow: nil).get().checkpoint
                #expect(checkpoints.updateValue(checkpoint, forKey: checkpoint.size) == nil)
            }
            var state = ContractState()
            var tree = CompactRange()
            var levels: [[Digest]] = [[]]
            for (index, row) in entries.enumerated() {
                let leaf = [UInt8](row["leaf"] as Data)
                try #require(row["idx"] as Int == index)
                let hash = MerkleTree.leafHash(leaf)
                #expect([UInt8](row["leaf_hash"] as Data) == hash.bytes)
                guard case .outcome(let outcome) = state.fold(leaf) else {
                    Issue.record("entry \(index) is not for this version")
                    return
                }
                // A sequencer logs nothing but what takes effect.
                #expect(outcome.code == .ok, "entry \(index)")
                #expect(outcome.canonical == outcomes[index])
                #expect(outcome.id.map(\.bytes) == [UInt8](row["txid"] as Data))
                tree.append(hash)
                Self.append(hash, to: &levels, level: 0)
                if let checkpoint = checkpoints[tree.size] { #expect(checkpoint.root == tree.root) }
            }
            // Values of their own: a whole state in an expectation is put into words even when it holds.
            let (head, outcomeRange, id, now) = (stored.head, state.outcomes, state.ledgerID, state.now)
            #expect(id == ledgerID)
            #expect(head.tree == tree)
            #expect(head.outcomes == outcomeRange)
            #expect(checkpoints.keys.allSatisfy { $0 <= tree.size })
            for (level, hashes) in levels.enumerated() {
                for tile in TilePath.all(.hashes(level: level), size: tree.size) {
                    let found = try LedgerStore.tile(level: level, index: tile.index, width: tile.width, in: database)
                    let first = Int(tile.index) * TilePath.fullWidth
                    #expect(found == Array(hashes[first..<first + tile.width]))
                }
            }
            let rows = try Row.fetchAll(database, sql: "SELECT key, value FROM state ORDER BY key").map { row in
                "\(row["key"] as String) \(String(decoding: row["value"] as Data, as: UTF8.self))"
            }
            let folded = state.rows.map { "\($0.key) \(String(decoding: $0.value, as: UTF8.self))" }
            #expect(rows == folded)
            var restored = stored.state
            let (storedNow, storedRoot, root) = (stored.state.now, restored.stateRoot(), state.stateRoot())
            #expect(storedNow == now)
            #expect(storedRoot == root)
            if let guarded = try SignGuard.last(database) {
                #expect(guarded.size <= tree.size)
                if guarded.size == tree.size { #expect(guarded.root == tree.root) }
            }
        }
    }

    /// Keeps the hashes of each tile level of a growing tree.
    private static func append(_ hash: Digest, to levels: inout [[Digest]], level: Int) {
        if level == levels.count { levels.append([]) }
        levels[level].append(hash)
        guard levels[level].count % TilePath.fullWidth == 0 else { return }
        append(HashTile(Array(levels[level].suffix(TilePath.fullWidth))).root, to: &levels, level: level + 1)
    }
}
