import Contracts
import Foundation
import GRDB
import Ledger
import TestSupport

/// Where in the life of a batch a ledger was killed, as its database tells afterwards.
enum KillPhase: String, CaseIterable {
    /// Nothing of what clients wait for is committed.
    case append
    /// The head is committed, and neither sign guard knows of it.
    case commit
    /// The sign guard's file permits the tree, and there is no checkpoint of it.
    case sign
    /// The checkpoint is there, and whoever waits for its last entry has no answer.
    case publish

    /// Reads a copy of the database, so that the next start finds what the crash left.
    init(_ rig: LedgerRig, _ memory: ClientMemory) throws {
        let folder = rig.folder.url.appendingPathComponent("killed-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["ledger.db", "ledger.db-wal"] {
            let file = URL(fileURLWithPath: rig.directory).appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: file.path) else { continue }
            try FileManager.default.copyItem(at: file, to: folder.appendingPathComponent(name))
        }
        let queue = try DatabaseQueue(path: folder.appendingPathComponent("ledger.db").path)
        defer { try? queue.close() }
        let file = try? Data(contentsOf: URL(fileURLWithPath: "\(rig.directory)/sign-guard"))
        let (head, row, published) = try queue.read { database in
            (
                try Int64.fetchOne(database, sql: "SELECT size FROM head") ?? 0,
                try Int64.fetchOne(database, sql: "SELECT size FROM sign_guard") ?? 0,
                try Int64.fetchOne(database, sql: "SELECT max(size) FROM checkpoint") ?? 0
            )
        }
        if max(row, file.map(Self.guardedSize) ?? 0) < head {
            self = .commit
        } else if published < head {
            self = .sign
        } else {
            self = memory.isAcknowledged(UInt64(head - 1)) ? .append : .publish
        }
    }

    /// The larger size of the two records of a guard file; each is a line of title, size, root and hash.
    private static func guardedSize(_ file: Data) -> Int64 {
        [0, 4096].compactMap { offset in
            let words = String(decoding: file.dropFirst(offset).prefix(256), as: UTF8.self).split(separator: " ")
            return words.count > 1 ? Int64(words[1]) : nil
        }.max() ?? 0
    }
}
