import Contracts
import Foundation
import GRDB

/// The log in the directory of a ledger, read beside a running server without writing a byte.
public struct StoredLog: LogSource {
    private let queue: DatabaseQueue

    /// Whether a directory holds a ledger.
    public static func isLedger(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: "\(path)/\(LedgerDirectory.database)")
    }

    /// Opens the ledger of a directory for reading only.
    public init(directory path: String) throws(LogUnreadable) {
        var configuration = Configuration()
        configuration.label = "audit"
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        let file = "\(path)/\(LedgerDirectory.database)"
        do {
            queue = try DatabaseQueue(path: file, configuration: configuration)
        } catch {
            throw LogUnreadable("\(file) is no database of a ledger, or cannot be opened")
        }
    }

    public func checkpoint() async throws -> [UInt8]? {
        try await read { database in
            let note = try Data.fetchOne(database, sql: "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
            guard let note, note.count <= SignedNote.longest else { return nil }
            return [UInt8](note)
        }
    }

    public func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]? {
        try await read { database in
            switch path.content {
            case .hashes(let level):
                return try LedgerStore.tile(level: level, index: path.index, width: path.width, in: database)
                    .flatMap(\.bytes)
            case .entries:
                let first = try LedgerStore.integer(path.index * UInt64(TilePath.fullWidth))
                let leaves = try Data.fetchAll(
                    database,
                    sql: "SELECT leaf FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx",
                    arguments: [first, first + Int64(path.width)]
                )
                guard leaves.allSatisfy({ $0.count <= EntryBundle.longestEntry }) else { return nil }
                return EntryBundle.encode(leaves.map { [UInt8]($0) })
            }
        }
    }

    private func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        do {
            return try await queue.read(body)
        } catch let error as CancellationError {
            throw error
        } catch let error as DatabaseError {
            throw LogUnreadable("the ledger's database is damaged (\(error.message ?? error.resultCode.description))")
        } catch {
            throw LogUnreadable("the ledger's database is damaged")
        }
    }
}
