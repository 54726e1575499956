public import Contracts
internal import Foundation

extension LedgerDirectory {
    /// Makes a ledger as `initialise(at:_:)` does, and puts it into etcd as a cluster of one member.
    ///
    /// `cluster.json` is written before etcd is told: a directory whose log is in etcd is never served as a ledger of its
    /// own.
    /// - Throws: `ClusterError`, besides the errors of `initialise(at:_:)`.
    public static func initialise(
        at path: String,
        _ genesis: Genesis,
        cluster: ClusterFile
    ) async throws -> (ledgerID: Identifier, verifierKey: VerifierKey) {
        let etcd = try cluster.client()
        defer { etcd.shutdown() }
        let keys = ClusterKeys(cluster: cluster.cluster)
        let found = try await etcd.transact(then: [.get(keys.genesis)])
        guard found.rows[0].isEmpty else { throw ClusterError.exists(cluster: cluster.cluster) }
        let made = try initialise(at: path, genesis)
        try write(cluster, in: path)
        let store = try LedgerStore(path: "\(path)/\(database)")
        defer { try? store.close() }
        let leaf = try await store.leaves(bundle: 0, width: 1)[0]
        let row = ClusterRecord.genesis(leaf).bytes(of: made.ledgerID)
        let head = ClusterRecord.head(ClusterRecord.Head(try await store.head())).bytes(of: made.ledgerID)
        do throws(ClusterError) {
            // Asking again is harmless: a first request whose answer was lost has put the same rows.
            _ = try await etcd.transact(
                if: [.isAbsent(keys.genesis), .isAbsent(keys.head)],
                then: [.put(keys.genesis, row), .put(keys.head, head)]
            )
            guard try await etcd.transact(then: [.get(keys.genesis)]).rows[0].first?.value == row else {
                throw ClusterError.exists(cluster: cluster.cluster)
            }
        } catch {
            throw ClusterError.halfMade(directory: path, reason: "\(error)")
        }
        return made
    }

    /// Makes the directory of a further member: the ledger's key, and a log that begins with the pinned genesis. The
    /// other entries come when it is served.
    ///
    /// - Parameters:
    ///   - keyFile: a copy of the first member's `ledger.key`.
    ///   - ledgerID: the pin; etcd is not believed about it.
    /// - Returns: the key that the ledger's checkpoints are verified with.
    public static func join(
        at path: String,
        cluster: ClusterFile,
        ledgerID: Identifier,
        keyFile: String
    ) async throws -> VerifierKey {
        let key = try readKey(keyFile)
        let etcd = try cluster.client()
        defer { etcd.shutdown() }
        let keys = ClusterKeys(cluster: cluster.cluster)
        guard let row = try await etcd.transact(then: [.get(keys.genesis)]).rows[0].first else {
            throw ClusterError.missing(cluster: cluster.cluster)
        }
        guard case .genesis(let leaf) = try ClusterRecord(row.value, of: ledgerID, at: row.key),
            case .entry(let entry) = ParsedEntry(leaf: leaf), entry.id == ledgerID,
            case .genesis(let body) = entry.body
        else { throw ClusterError.foreign(key: row.key, reason: "it is not the genesis of the ledger \(ledgerID.hex)") }
        let verifierKey = CheckpointSigner.verifierKey(key, origin: body.origin)
        guard body.keys.contains(verifierKey) else { throw LedgerDirectoryError.foreignKey(keyFile) }
        return try fill(path) { folder in
            try write(key, "\(folder)/\(ledgerKey)")
            try write(cluster, in: folder)
            _ = try makeDatabase("\(folder)/\(database)", genesis: leaf)
            return verifierKey
        }
    }

    private static func write(_ cluster: ClusterFile, in folder: String) throws {
        let path = "\(folder)/\(ClusterFile.name)"
        try Data(cluster.bytes).write(to: URL(fileURLWithPath: path), options: .withoutOverwriting)
        try synchronise(path)
        try synchronise(folder)
    }
}
