public import Contracts
internal import Foundation
internal import GRDB

/// What a node's trust store says at one moment, read beside the process that runs on it without writing a byte.
///
/// Position and rows are checked as at a start of the node: the check value of the row, the state root of the rows, and the
/// root over all leaf hashes. Holds the state, and 40 bytes for an entry of the log.
public struct TrustRecord: Sendable {
    /// How far the node has verified the ledger.
    public let position: TrustedPosition

    /// The state at that size.
    public let state: ContractState

    /// Leaf hashes up to that size, against which entries from any source are proven; nil before anything was verified.
    let leaves: VerifiedLeaves?

    /// What the fold said about each entry; nil for entries before the snapshot that the node started from.
    let codes: [Code?]

    /// Reads the store in the state folder of a node.
    ///
    /// - Throws: `trust.io` when there is none or it cannot be read, `trust.other_ledger`, `trust.corrupt`.
    public static func read(folder: String, ledgerID: Identifier) throws(TrustStoreError) -> TrustRecord {
        let file = "\(folder)/\(TrustStore.name)"
        guard FileManager.default.fileExists(atPath: file) else {
            throw TrustStoreError(
                .io,
                "\(file) does not exist or cannot be seen by this user; check `state`, and run this as the node's user"
            )
        }
        var configuration = Configuration()
        configuration.label = "why"
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        do {
            let queue = try DatabaseQueue(path: file, configuration: configuration)
            // One transaction: the node may take its next step meanwhile.
            return try queue.read { try TrustRecord($0, file, ledgerID) }
        } catch let error as TrustStoreError {
            throw error
        } catch {
            throw TrustStoreError(
                .io,
                "\(file) cannot be read: \(TrustStore.describe(error)); run this as the node's user"
            )
        }
    }

    private init(_ database: Database, _ file: String, _ ledgerID: Identifier) throws {
        (position, state) = try TrustStore.checked(database, file)
        guard position.ledgerID == ledgerID else {
            throw TrustStoreError(
                .otherLedger,
                "\(file) belongs to ledger \(position.ledgerID.hex), not to the pinned \(ledgerID.hex)"
            )
        }
        guard position.size > 0 else {
            (leaves, codes) = (nil, [])
            return
        }
        leaves = try Self.leaves(database, position, file)
        codes = try Self.codes(database, position.size)
    }

    private static func leaves(
        _ database: Database,
        _ position: TrustedPosition,
        _ file: String
    ) throws -> VerifiedLeaves {
        var builder = VerifiedLeaves.Builder(checkpoint: try Checkpoint(parsing: position.checkpoint))
        var rest = position.size
        let cursor = try Row.fetchCursor(database, sql: "SELECT hashes FROM leaf ORDER BY tile")
        while rest > 0, let row = try cursor.next() {
            let stored = TrustRow.digests(Array(try row.decode(Data.self, forColumn: "hashes")))
            // Beyond the trusted size stands what a step wrote ahead.
            let hashes = Array(stored.prefix(Int(min(rest, UInt64(TilePath.fullWidth)))))
            guard !hashes.isEmpty else { break }
            let tile = HashTile(hashes)
            builder.append(tile, root: tile.root)
            rest -= UInt64(hashes.count)
        }
        do throws(AuditFailure) {
            return try builder.finish()
        } catch {
            throw TrustStore.corrupt(file, error.message)
        }
    }

    private static func codes(_ database: Database, _ size: UInt64) throws -> [Code?] {
        var codes = [Code?](repeating: nil, count: Int(size))
        let sql = "SELECT idx, code FROM outcome WHERE idx < ?"
        let cursor = try Row.fetchCursor(database, sql: sql, arguments: [Int64(clamping: size)])
        while let row = try cursor.next() {
            let index: Int = try row.decode(forColumn: "idx")
            guard codes.indices.contains(index) else { continue }
            codes[index] = Code(rawValue: try row.decode(forColumn: "code"))
        }
        return codes
    }
}
