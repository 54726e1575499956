internal import Foundation
internal import GRDB

/// One consistent view of a ledger's database, also beside a running server. Nothing is written to `ledger.db`.
///
/// Values come as the bytes that are stored, whatever type the column should have: a damaged file is a fault, never a
/// crash.
final class StoreReader: Sendable {
    private let queue: DatabaseQueue
    private let name: String

    init(path: String) throws(StoreFault) {
        name = LedgerDirectory.database
        var configuration = Configuration()
        configuration.label = "fsck"
        configuration.readonly = true
        configuration.allowsUnsafeTransactions = true
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA trusted_schema = OFF")
            try database.execute(sql: "PRAGMA cell_size_check = ON")
        }
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { database in
                // The transaction begins to see one state with its first read.
                try database.execute(sql: "BEGIN DEFERRED")
                _ = try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema")
            }
        } catch {
            throw Self.unreadable(error)
        }
    }

    func close() {
        try? queue.writeWithoutTransaction { database in try database.execute(sql: "ROLLBACK") }
        try? queue.close()
    }

    /// Runs queries on the one connection; an error of the database is a fault of the file.
    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            return try await queue.writeWithoutTransaction(body)
        } catch let error as StoreFault {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch let error as StoreError {
            throw StoreFault(LedgerDirectory.database, nil, "file.content", "\(error)")
        } catch {
            throw Self.unreadable(error)
        }
    }

    private static func unreadable(_ error: any Error) -> StoreFault {
        let reason = (error as? DatabaseError).map { $0.message ?? $0.resultCode.description } ?? "\(type(of: error))"
        return StoreFault(LedgerDirectory.database, nil, "file.unreadable", "SQLite cannot read it: \(reason)")
    }
}

extension Row {
    /// The bytes of a BLOB or TEXT column; nil for anything else.
    func storedBytes(_ column: String) -> [UInt8]? {
        let value: DatabaseValue = self[column]
        return switch value.storage {
        case .blob(let data): [UInt8](data)
        default: nil
        }
    }

    /// A number that is no less than 0; nil for anything else.
    func storedNumber(_ column: String) -> UInt64? {
        let value: DatabaseValue = self[column]
        return switch value.storage {
        case .int64(let number): UInt64(exactly: number)
        default: nil
        }
    }
}
