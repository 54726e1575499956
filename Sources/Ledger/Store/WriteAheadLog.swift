internal import Foundation
internal import GRDB
internal import NIOConcurrencyHelpers

/// How the write-ahead log of SQLite is kept and folded into the database, so that a failing disk is never believed.
///
/// After a failed fsync Linux drops the pages that it could not write, and the next fsync succeeds without them. A
/// process that goes on would take for durable what is nowhere. So the first failed sync ends the process, the log is
/// folded by explicit calls whose errors are seen (SQLite's automatic checkpoint hides them), and a start first writes
/// all bytes of the log again and syncs them: what it then finds in the log is on the disk.
enum WriteAheadLog {
    /// Bytes that are read and written at once.
    private static let piece = 1 << 20

    /// Writes the log of the database at `path` again, byte for byte, and syncs it. No other process may have it open.
    static func rewrite(database path: String) throws {
        let log = "\(path)-wal"
        guard FileManager.default.fileExists(atPath: log) else { return }
        do {
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: log))
            defer { try? file.close() }
            var offset: UInt64 = 0
            while let bytes = try file.read(upToCount: piece), !bytes.isEmpty {
                try file.seek(toOffset: offset)
                try file.write(contentsOf: bytes)
                offset += UInt64(bytes.count)
            }
            try file.synchronize()
        } catch {
            throw StoreError.diskUncertain("\(log) could not be written again and synced")
        }
    }

    /// Whether SQLite says that a sync failed.
    static func isFailedSync(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return [.SQLITE_IOERR_FSYNC, .SQLITE_IOERR_DIR_FSYNC].contains(error.extendedResultCode)
    }
}

extension LedgerStore {
    /// Transactions and entries after which the log is folded into the database: some ten thousand pages of a large
    /// ledger, 40 MB. A page that several batches changed is written and synced once.
    private static let foldingWork = 4096

    /// Takes note of a transaction, and of the entries that it added.
    func noteWork(of entries: Int) {
        work.withLockedValue { $0 += 4 + entries }
    }

    private func takeWork() -> Bool {
        work.withLockedValue { work in
            guard work >= Self.foldingWork else { return false }
            work = 0
            return true
        }
    }

    /// Folds the write-ahead log when enough was written since the last time.
    ///
    /// What was committed is durable already; a full disk here is no error, as the log still holds everything. Most pages
    /// are folded on a connection of their own, beside the commits; what was committed meanwhile is folded between two of
    /// them, so that the log begins anew.
    func foldLogIfDue() async throws {
        guard takeWork() else { return }
        try await seeingFailedSyncs {
            _ = try await folding.writeWithoutTransaction { try $0.checkpoint(.passive) }
            _ = try await pool.writeWithoutTransaction { try $0.checkpoint(.passive) }
        }
    }

    /// The same for a caller that is alone with the store.
    func foldLogIfDueBlocking() throws {
        if takeWork() { try foldLog(.passive) }
    }

    func foldLog(_ mode: Database.CheckpointMode) throws {
        do {
            try pool.writeWithoutTransaction { database in _ = try database.checkpoint(mode) }
        } catch {
            try judge(error)
        }
    }

    private func seeingFailedSyncs(_ body: () async throws -> Void) async throws {
        do { try await body() } catch { try judge(error) }
    }

    private func judge(_ error: any Error) throws {
        if WriteAheadLog.isFailedSync(error) { throw abandon("the database could not be synced") }
        // Readers are in the way, or the disk is full: it is tried again later.
        guard error is DatabaseError else { throw error }
    }

    /// Gives the store up after a failed sync: it is never closed, because closing would fold the log once more.
    func abandon(_ what: String) -> StoreError {
        Self.abandoned.withLockedValue { $0.append(self) }
        return .diskUncertain(what)
    }

    var isAbandoned: Bool { Self.abandoned.withLockedValue { $0.contains { $0 === self } } }

    private static let abandoned = NIOLockedValueBox<[LedgerStore]>([])
}
