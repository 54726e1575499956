internal import Contracts
internal import Foundation
internal import GRDB

/// Re-verifies everything that the directory of a ledger holds, without a server and without believing any of it.
///
/// In this order, up to the first fault: the file (SQLite's own check, schema and triggers), each entry with its hash,
/// outcome and place in the tree, the tile roots, the head, the state rows, every kept checkpoint with its signatures,
/// receipts, and the two sign guards. What is right by itself but belongs to another ledger is for the caller, who has
/// the published ledger id. Reads one consistent view, so that a server may run beside it.
///
/// Signatures are verified on all cores; memory is that of the folded state.
public struct StoreCheck: Sendable {
    /// Entries that are read at once.
    public static let pageEntries = 512

    let reader: StoreReader
    /// The tree of the file beside the database, read before the database so that it is never newer.
    let guardFile: SignGuardFile.Content
    var report = StoreCheckReport()

    /// Verifies the ledger in a directory; `progress` is told how many entries of how many are done.
    ///
    /// - Throws: `LedgerDirectoryError.missing` when there is no ledger. Faults are in the report.
    public static func run(
        directory path: String,
        progress: (_ done: UInt64, _ of: UInt64) -> Void = { _, _ in }
    ) async throws -> StoreCheckReport {
        guard FileManager.default.fileExists(atPath: "\(path)/\(LedgerDirectory.database)") else {
            throw LedgerDirectoryError.missing(path)
        }
        var report = StoreCheckReport()
        do {
            let guardFile = try SignGuardFile.content(of: "\(path)/\(SignGuardFile.name)")
            let reader = try StoreReader(path: "\(path)/\(LedgerDirectory.database)")
            defer { reader.close() }
            var check = StoreCheck(reader: reader, guardFile: guardFile)
            defer { report = check.report }
            try await check.run(progress)
        } catch let fault as StoreFault {
            report.fault = fault
        }
        return report
    }

    private mutating func run(_ progress: (UInt64, UInt64) -> Void) async throws {
        try await checkFile()
        var replay = CheckedReplay()
        let total = try await reader.read { try Int64.fetchOne($0, sql: "SELECT count(*) FROM entry") ?? 0 }
        while true {
            let page = try await CheckedPage(after: replay.tree.size, from: reader)
            guard !page.entries.isEmpty else { break }
            try await fold(page, into: &replay)
            progress(report.size, UInt64(max(total, 0)))
        }
        try await checkHead(replay)
        try await checkState(&replay)
        try await checkReceipts()
        try await checkGuards(replay)
    }

    /// Folds a page, compares what is stored of it, and verifies the checkpoints that end in it.
    private mutating func fold(_ page: CheckedPage, into replay: inout CheckedReplay) async throws {
        let prepared = await EntryFold.prepare(page.entries.map(\.leaf), replay.state)
        for (entry, (parsed, verdicts)) in zip(page.entries, prepared) {
            try replay.fold(entry, parsed, verdicts)
            if replay.tree.size == 1 { report.ledgerID = replay.state.ledgerID }
            report.size = replay.tree.size
            report.root = replay.tree.root
            report.outcomeRoot = replay.state.outcomeRoot
            if let note = page.checkpoints[replay.tree.size] {
                try replay.verify(checkpoint: note)
                report.checkpoints += 1
            }
        }
        let roots = replay.takeTileRoots()
        try await reader.read { database in
            let query = try database.cachedStatement(sql: "SELECT hash FROM tile_root WHERE level = ? AND idx = ?")
            for root in roots {
                let place = "\(root.level)/\(root.index)"
                let number = try LedgerStore.integer(root.index)
                let row = try Row.fetchOne(query, arguments: [root.level, number])
                guard let row else {
                    throw StoreFault("tile_root", place, "tile.missing", "the root of a full tile is not there")
                }
                guard row.storedBytes("hash") == root.hash.bytes else {
                    throw StoreFault("tile_root", place, "tile.hash", "it is not the root of the hashes below it")
                }
            }
        }
    }
}
