internal import Contracts
internal import Foundation
internal import GRDB

/// The durable side of the watcher: the trusted position of one ledger and the state derived from it, in one file.
///
/// Invariants (protocol.md 10.1): the size never decreases, an equal size has an equal root, an update is conditional
/// on the previous size, and position, state rows, outcomes and leaf hashes change in one transaction, which is on the
/// disk before the call returns (write-ahead log, synchronous FULL). The position carries a check value over all its
/// members, among them the state root of the rows; a file that fails its check is an error, never an empty start.
final class TrustStore: Sendable {
    /// What the fold and the tree say about consecutive entries.
    struct Page: Sendable {
        /// Index of the first.
        var start: UInt64
        var outcomes: [Outcome] = []
        var leaves: [Digest] = []
    }

    static let name = "trust.sqlite"
    /// "GWT1" in ASCII: SQLite's application_id of a file made here.
    private static let applicationID = 0x4757_5431
    static let leavesPerTile = 256

    let directory: StateDirectory
    let queue: DatabaseQueue

    // MARK: Opening

    /// Opens the store of `ledgerID` in `path`, creating both when nothing is there.
    ///
    /// - Returns: the store, with the position and the state it holds, both checked.
    static func open(
        path: String,
        ledgerID: Identifier
    ) throws(TrustStoreError) -> (store: TrustStore, position: TrustedPosition, state: ContractState) {
        let directory = try StateDirectory(path: path)
        let file = "\(path)/\(name)"
        if !FileManager.default.fileExists(atPath: file) { try create(file, directory, ledgerID) }
        let store: TrustStore
        do {
            store = TrustStore(directory: directory, queue: try connect(file))
            try store.prepareMemory()
        } catch {
            throw corrupt(file, "it is no usable database: \(describe(error))")
        }
        let (position, state) = try store.load(file)
        guard position.ledgerID == ledgerID else {
            throw TrustStoreError(
                .otherLedger,
                "\(file) belongs to ledger \(position.ledgerID.hex), not to the pinned \(ledgerID.hex); "
                    + "give another --state"
            )
        }
        return (store, position, state)
    }

    private init(directory: StateDirectory, queue: DatabaseQueue) {
        self.directory = directory
        self.queue = queue
    }

    /// Builds the empty store beside its place and renames it there: a file in its place is always complete.
    private static func create(
        _ file: String,
        _ directory: StateDirectory,
        _ ledgerID: Identifier
    ) throws(TrustStoreError) {
        let draft = file + ".new"
        do {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                try? FileManager.default.removeItem(atPath: draft + suffix)
            }
            let queue = try connect(draft)
            try queue.write { database in
                try database.execute(sql: TrustRow.schema)
                try database.execute(sql: "PRAGMA application_id = \(applicationID)")
                try TrustRow.insert(TrustedPosition(ledgerID: ledgerID), database)
            }
            try queue.close()
            try FileManager.default.moveItem(atPath: draft, toPath: file)
            directory.synchronize()
        } catch {
            throw TrustStoreError(.io, "\(file) cannot be created: \(describe(error))")
        }
    }

    private static func connect(_ file: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.label = "trust"
        let queue = try DatabaseQueue(path: file, configuration: configuration)
        // GRDB lowers `synchronous` when it turns the write-ahead log on, so it is set, and looked at, afterwards.
        try queue.writeWithoutTransaction { database in
            try database.execute(sql: "PRAGMA synchronous = FULL")
            // Kibibytes: most of the index over txids stays in memory while a long log is caught up with.
            try database.execute(sql: "PRAGMA cache_size = -32768")
            let synchronous = try Int.fetchOne(database, sql: "PRAGMA synchronous")
            let journal = try String.fetchOne(database, sql: "PRAGMA journal_mode")
            guard synchronous == 2, journal == "wal" else {
                throw TrustStoreError(.io, "\(file) does not accept synchronous FULL with a write-ahead log")
            }
        }
        return queue
    }

    /// Closes the file and gives the directory back; every later call fails.
    func close() {
        try? queue.close()
        directory.release()
    }

    // MARK: Reading

    private func load(_ file: String) throws(TrustStoreError) -> (TrustedPosition, ContractState) {
        do {
            return try queue.read { try Self.checked($0, file) }
        } catch let error as TrustStoreError {
            throw error
        } catch {
            throw Self.corrupt(file, Self.describe(error))
        }
    }

    /// Position and state of a file, after every check of them.
    static func checked(_ database: Database, _ file: String) throws -> (TrustedPosition, ContractState) {
        guard try Int.fetchOne(database, sql: "PRAGMA application_id") == applicationID,
            let position = try TrustRow.read(database)
        else { throw corrupt(file, "its trusted position is missing or fails its check value") }
        var state: ContractState
        do {
            state = try StoredState.load(database, size: position.size, outcomes: position.outcomes, isHashed: true)
        } catch let error as StateError {
            throw corrupt(file, "its state rows cannot be read: \(error)")
        }
        guard state.stateRoot() == position.stateRoot else {
            throw corrupt(file, "its state rows do not give the state root of its trusted position")
        }
        return (position, state)
    }

    /// The leaf hashes of the first `size` entries, in order.
    func leafHashes(size: UInt64) async throws -> [Digest] {
        try await queue.read { database in
            var hashes: [Digest] = []
            let tiles = (size + UInt64(Self.leavesPerTile) - 1) / UInt64(Self.leavesPerTile)
            let cursor = try Row.fetchCursor(
                database,
                sql: "SELECT hashes FROM leaf WHERE tile < ? ORDER BY tile",
                arguments: [Int64(tiles)]
            )
            while let row = try cursor.next() {
                hashes += TrustRow.digests(Array(try row.decode(Data.self, forColumn: "hashes")))
            }
            guard hashes.count >= Int(size) else {
                throw TrustStoreError(.corrupt, "the trust store lacks leaf hashes below size \(size)")
            }
            return Array(hashes.prefix(Int(size)))
        }
    }

    /// What the fold said about the entry at `index`. Rows beyond the trusted size mean nothing; the caller knows it.
    func outcome(at index: UInt64) async throws -> (code: Code, id: Identifier?)? {
        try await queue.read { database in
            let arguments: StatementArguments = [Int64(clamping: index)]
            guard
                let row = try Row.fetchOne(
                    database,
                    sql: "SELECT code, id FROM outcome WHERE idx = ?",
                    arguments: arguments
                ),
                let code = Code(rawValue: try row.decode(forColumn: "code"))
            else { return nil }
            let id = try row.decode(Data?.self, forColumn: "id")
            return (code, id.flatMap { Identifier($0) })
        }
    }

    /// What is in force at the connection: `synchronous` (2 is FULL) and the journal mode.
    func pragmas() async throws -> (synchronous: Int?, journal: String?) {
        try await queue.read { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA synchronous"),
                try String.fetchOne(database, sql: "PRAGMA journal_mode")
            )
        }
    }

    // MARK: Writing

    /// Writes outcomes and leaf hashes of proven entries beyond the trusted size, ahead of the step that includes them.
    ///
    /// Nobody reads beyond the trusted size; what a step leaves behind that failed, the next one overwrites.
    func prepare(_ page: Page, beyond position: TrustedPosition) async throws {
        guard page.start >= position.size else {
            throw TrustStoreError(.conflict, "entries below the trusted size \(position.size) do not change")
        }
        try await queue.write { database in try Self.insert(page, database) }
    }

    /// Moves the trusted position forward, with everything derived from it. Durable when it returns.
    ///
    /// - Parameters:
    ///   - last: the entries up to the new size that were not prepared.
    ///   - keys: every ledger key up to the new size.
    ///   - passed: what was computed at sizes on the way.
    ///   - origin: the snapshot that this is a start from.
    func advance(
        from previous: TrustedPosition,
        to position: TrustedPosition,
        _ changes: some Sequence<StateChange> & Sendable,
        _ last: Page,
        keys: [VerifierKey] = [],
        passed: [PassedSize] = [],
        begunWith origin: SnapshotOrigin? = nil
    ) async throws {
        let end = last.start + UInt64(last.leaves.count)
        guard position.size > previous.size, last.start >= previous.size, end == position.size else {
            throw TrustStoreError(.conflict, "a step from size \(previous.size) to \(position.size) is none forward")
        }
        try await queue.write { database in
            try TrustRow.update(position, from: previous.size, database)
            let set = try database.cachedStatement(
                sql: "INSERT INTO state (key, value) VALUES (?, ?) "
                    + "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            )
            let remove = try database.cachedStatement(sql: "DELETE FROM state WHERE key = ?")
            for change in changes {
                if let value = change.value {
                    try set.execute(arguments: [change.key, Data(value)])
                } else {
                    try remove.execute(arguments: [change.key])
                }
            }
            try Self.insert(last, database)
            try Self.remember(keys, passed, database)
            if let origin { try Self.insert(origin, database) }
        }
    }

    private static func insert(_ page: Page, _ database: Database) throws {
        let insertion = try database.cachedStatement(
            sql: "INSERT INTO outcome (idx, code, id) VALUES (?, ?, ?) "
                + "ON CONFLICT (idx) DO UPDATE SET code = excluded.code, id = excluded.id"
        )
        for outcome in page.outcomes {
            try insertion.execute(arguments: [
                Int64(outcome.index), outcome.code.rawValue, outcome.id.map { Data($0.bytes) },
            ])
        }
        try append(page.leaves, at: page.start, database)
    }

    /// Stores a newer checkpoint of the same size and root, or a halt. Durable when it returns.
    func renew(from previous: TrustedPosition, to position: TrustedPosition) async throws {
        guard position.size == previous.size, position.root == previous.root else {
            throw TrustStoreError(.conflict, "size \(position.size) cannot get another root")
        }
        try await queue.write { database in try TrustRow.update(position, from: previous.size, database) }
    }

    /// Adds leaf hashes to the tiles of 256, of which the last one may be partial.
    private static func append(_ leaves: [Digest], at size: UInt64, _ database: Database) throws {
        var tile = size / UInt64(leavesPerTile)
        var hashes = Data()
        let taken = Int(size % UInt64(leavesPerTile))
        if taken > 0 {
            let stored = try Data.fetchOne(
                database,
                sql: "SELECT hashes FROM leaf WHERE tile = ?",
                arguments: [Int64(tile)]
            )
            guard let stored, stored.count >= taken * 32 else {
                throw TrustStoreError(.corrupt, "the trust store lacks leaf hashes below size \(size)")
            }
            // More than that is left from a step that failed.
            hashes = stored.prefix(taken * 32)
        }
        func flush() throws {
            try database.execute(
                sql: "INSERT INTO leaf (tile, hashes) VALUES (?, ?) "
                    + "ON CONFLICT (tile) DO UPDATE SET hashes = excluded.hashes",
                arguments: [Int64(tile), hashes]
            )
        }
        for leaf in leaves {
            hashes.append(contentsOf: leaf.bytes)
            if hashes.count == leavesPerTile * 32 {
                try flush()
                tile += 1
                hashes = Data()
            }
        }
        if !hashes.isEmpty { try flush() }
    }

    static func corrupt(_ file: String, _ reason: String) -> TrustStoreError {
        TrustStoreError(
            .corrupt,
            "trust store \(file) is damaged: \(reason); restore it, or move the state directory away "
                + "to verify the ledger from its genesis again"
        )
    }

    static func describe(_ error: any Error) -> String {
        (error as? DatabaseError)?.message ?? (error as? TrustStoreError)?.message ?? error.localizedDescription
    }
}
