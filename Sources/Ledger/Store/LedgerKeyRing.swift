internal import Contracts
internal import Foundation
internal import NIOConcurrencyHelpers

/// The ledger keys that a directory holds: `ledger.key` and every `ledger-<label>.key` beside it.
///
/// A key that is put there while the ledger is served is found when it is first needed. Any thread.
final class LedgerKeyRing: Sendable {
    private let directory: String
    private let keys: NIOLockedValueBox<[SigningKey]>

    /// Most key files; a ledger has at most 8 keys, and as many old ones during a change.
    private static let mostFiles = 32

    /// - Throws: `LedgerDirectoryError.keyFile` for a file that is not a private key.
    init(directory: String) throws {
        self.directory = directory
        keys = NIOLockedValueBox(try Self.read(directory))
    }

    /// The keys, that of `ledger.key` first.
    var held: [SigningKey] { keys.withLockedValue { $0 } }

    /// Looks for key files again; a file that cannot be read leaves the keys as they were.
    func reload() throws {
        let fresh = try Self.read(directory)
        keys.withLockedValue { $0 = fresh }
    }

    private static func read(_ directory: String) throws -> [SigningKey] {
        let files = try FileManager.default.contentsOfDirectory(atPath: directory)
            .filter { $0 == LedgerDirectory.ledgerKey || ($0.hasPrefix("ledger-") && $0.hasSuffix(".key")) }
            .sorted { ($0 == LedgerDirectory.ledgerKey ? 0 : 1, $0) < ($1 == LedgerDirectory.ledgerKey ? 0 : 1, $1) }
        guard !files.isEmpty, files.count <= mostFiles else {
            let reason = files.isEmpty ? "does not exist" : "has more than \(mostFiles) others beside it"
            throw LedgerDirectoryError.keyFile("\(directory)/\(LedgerDirectory.ledgerKey)", reason)
        }
        return try files.map { try LedgerDirectory.readKey("\(directory)/\($0)") }
    }
}
