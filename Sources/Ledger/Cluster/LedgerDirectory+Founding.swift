public import Contracts
internal import Foundation

extension LedgerDirectory {
    /// What a new cluster goes on from.
    public struct Founded: Sendable {
        public var ledgerID: Identifier
        public var verifierKey: VerifierKey
        public var size: UInt64
    }

    /// Puts a ledger that exists into etcd, as a cluster of one member: its log, its keys and its checkpoints go on.
    ///
    /// `cluster.json` is written before etcd is told: a directory whose log is in etcd is never served as a ledger of its
    /// own. The directory must not be served meanwhile.
    ///
    /// - Parameter former: the cluster that the directory is a member of, if its etcd is lost or was set back.
    /// - Throws: `ClusterError`, besides the errors of opening a directory.
    public static func found(
        at path: String,
        cluster: ClusterFile,
        insteadOf former: String? = nil
    ) async throws -> Founded {
        if let known = try ClusterFile.read(in: path), known.cluster != cluster.cluster, known.cluster != former {
            throw ClusterError.member(directory: path, cluster: known.cluster)
        }
        let opened = try open(at: path, isDevelopment: true)
        defer {
            try? opened.store.close()
            opened.lock.release()
        }
        guard let writer = try DirectoryLock(path: "\(path)/\(writerLock)") else {
            throw LedgerDirectoryError.written(path)
        }
        defer { writer.release() }
        let founding = try await Founding(opened, path)
        let etcd = try cluster.client()
        defer { etcd.shutdown() }
        let keys = ClusterKeys(cluster: cluster.cluster)
        let rows = founding.rows(keys)
        // A run before this one may have put them.
        guard try await etcd.isFree(rows) else { throw ClusterError.exists(cluster: cluster.cluster) }
        try replace(cluster, in: path)
        do throws(ClusterError) {
            _ = try await etcd.transact(
                if: [.isAbsent(keys.genesis), .isAbsent(keys.head), .isAbsent(keys.guarded)],
                then: rows.map { .put($0.key, $0.value) }
            )
            guard try await etcd.isFree(rows) else { throw ClusterError.exists(cluster: cluster.cluster) }
        } catch {
            throw ClusterError.unfounded(directory: path, reason: "\(error)")
        }
        return founding.founded
    }

    private static func replace(_ cluster: ClusterFile, in folder: String) throws {
        let path = "\(folder)/\(ClusterFile.name)"
        try Data(cluster.bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
        try synchronise(path)
        try synchronise(folder)
    }
}

extension EtcdClient {
    /// Whether each key is absent or has the value.
    fileprivate func isFree(_ rows: [Row]) async throws(ClusterError) -> Bool {
        let found = try await transact(then: rows.map { .get($0.key) }).rows
        return zip(rows, found).allSatisfy { row, found in found.isEmpty || found == [row] }
    }
}

/// The values that a cluster begins with.
private struct Founding {
    let founded: LedgerDirectory.Founded
    private let genesis: [UInt8]
    private let head: LogHead
    private let signed: SignedTree?

    /// - Throws: `ClusterError.behind` if more was signed than the directory holds, or something else.
    init(_ opened: LedgerDirectory.Opened, _ path: String) async throws {
        guard let id = opened.stored.state.ledgerID, let key = opened.stored.state.ledgerKeys.first else {
            throw StoreError.unusable("it has no genesis")
        }
        head = try await opened.store.head()
        genesis = try await opened.store.leaves(bundle: 0, width: 1)[0]
        let guards = try await opened.store.signedTrees()
        signed = guards.map(\.tree).max { $0.size < $1.size }
        founded = LedgerDirectory.Founded(ledgerID: id, verifierKey: key, size: head.size)
        let rule = ClearanceRule(
            head: SignedTree(size: head.size, root: head.root),
            guards: guards,
            quorum: (0, []),
            sightings: [:]
        )
        let verdict = try opened.store.readBlocking { database in
            try rule.judge { size in try LedgerStore.root(at: size, in: database) }
        }
        guard case .wait(let sentence) = verdict else { return }
        throw ClusterError.behind(directory: path, reason: sentence)
    }

    func rows(_ keys: ClusterKeys) -> [EtcdClient.Row] {
        var records: [(String, ClusterRecord)] = [
            (keys.genesis, .genesis(genesis)), (keys.head, .head(ClusterRecord.Head(head))),
        ]
        if let signed { records.append((keys.guarded, .guarded(size: signed.size, root: signed.root))) }
        return records.map { EtcdClient.Row(key: $0.0, value: $0.1.bytes(of: founded.ledgerID)) }
    }
}
