internal import Contracts
internal import Logging

/// The way of a member that was away for longer than etcd keeps batches: the tiles of another member.
///
/// All leaves up to a checkpoint of that member are fetched and hashed first, and nothing is taken before they give the
/// root that the ledger's key signed. Then they go through the same fold as everything else, bundle by bundle.
extension ClusterLog {
    struct Refill {
        var client: LedgerClient
        var source: LedgerClient.Source
        var bundles: ArraySlice<FetchedEntries.Bundle>
    }

    /// Entry bytes kept in memory during a refill; what is above is fetched twice.
    private static let budget = 64 * 1024 * 1024
    /// Bundles asked for at the same time.
    private static let inFlight = 4
    /// Members asked for tiles; a cluster has a few.
    private static let mostMembers = 64

    /// The next bundle of a refill that is under way.
    func refilled(after head: LogHead) async throws -> CommittedBatch? {
        guard let refill, let bundle = refill.bundles.first else {
            self.refill?.client.shutdown()
            refill = nil
            return nil
        }
        guard bundle.index * UInt64(TilePath.fullWidth) + UInt64(bundle.skip) == head.size else {
            // The bundle before this one could not be kept, or the log went another way: begin anew.
            self.refill = nil
            return nil
        }
        let leaves: [[UInt8]]
        if let kept = bundle.leaves {
            leaves = kept
        } else {
            leaves = try await refill.client.leaves(bundle, from: refill.source, false)
        }
        let hashes = leaves.map { MerkleTree.leafHash($0) }
        guard FetchedEntries.digest(hashes) == bundle.digest else {
            self.refill = nil
            throw ClusterError.collected(base: head.size, reason: "\(refill.source) changed its entries")
        }
        var tree = head.tree
        for hash in hashes { tree.append(hash) }
        self.refill?.bundles.removeFirst()
        return CommittedBatch(base: head.size, leaves: leaves, root: tree.root)
    }

    /// Finds a member that has what is missing, and verifies all of it against a checkpoint of the ledger's key.
    func startRefill(after head: LogHead) async throws {
        var reasons: [String] = []
        for url in try await otherMembers() {
            do {
                refill = try await refill(from: url, after: head)
                logger.notice(
                    "etcd no longer has what this member lacks; another member's tiles give it",
                    metadata: ["from": "\(url)", "entry": "\(head.size)"]
                )
                return
            } catch {
                reasons.append("\(url): \(error)")
            }
        }
        let reason = reasons.isEmpty ? "no other member is up" : reasons.joined(separator: "; ")
        throw ClusterError.collected(base: head.size, reason: reason)
    }

    private func refill(from url: String, after head: LogHead) async throws -> Refill {
        let client = try LedgerClient(urls: [url], logger: logger)
        let source = client.sources[0]
        guard case .note(let note, _) = try await client.checkpoint(from: source) else {
            throw ClusterError.unavailable("\(url) shows no checkpoint")
        }
        // The members share their keys, and witnesses add nothing between members.
        let judge = CheckpointJudge(
            origin: signer.origin,
            ledgerKeys: signer.ring.held.map { CheckpointSigner.verifierKey($0, origin: signer.origin) },
            policy: .none,
            dev: true
        )
        let checkpoint = try judge.judge(note: note, localNow: nil).get().checkpoint
        guard checkpoint.size > head.size else {
            throw ClusterError.unavailable("\(url) has no more entries than this member")
        }
        let entries = try await client.entries(
            after: head.tree,
            to: checkpoint.size,
            from: source,
            budget: Self.budget,
            inFlight: Self.inFlight,
            isBypassingCaches: false
        )
        guard entries.edge.root == checkpoint.root else {
            throw LedgerRefusal(.entriesMismatch, source: source, "its entries do not give the root it signed")
        }
        return Refill(client: client, source: source, bundles: entries.bundles[...])
    }

    /// URLs of the members that have a row, without this one's.
    func otherMembers() async throws -> [String] {
        let own = keys.member(membership.member)
        let rows = try await etcd.transact(then: [
            .list(first: keys.members, end: keys.membersEnd, limit: Self.mostMembers)
        ]).rows[0]
        return try rows.filter { $0.key != own }.compactMap { row in
            guard case .member(_, let url) = try record(row) else { throw misplaced(row) }
            return url.isEmpty ? nil : url
        }
    }
}
