internal import Contracts
internal import Logging

/// A member's row in etcd, and the collection of batches behind the members.
///
/// The row says how far the member's disk has the log and where its tiles are. It is bound to a lease that the member
/// renews while it follows; a member that is gone for longer than `absence`, by etcd's clock, has no row and holds
/// nothing back. The first member by name deletes the batches that every row has passed, and only while there are
/// two rows or more, so that what leaves etcd is on two disks; then etcd is told to forget the old revisions.
struct ClusterMembership: Sendable {
    private static let pause: Duration = .seconds(1)
    private static let mostMembers = 64

    let log: ClusterLog
    /// Where others reach this member's tiles.
    let url: String
    /// Seconds.
    let absence: Int64
    /// Whether the member keeps up; one whose disk is full gives way.
    let isFollowing: @Sendable () async -> Bool

    /// Renews and collects until the task is cancelled. An etcd that does not answer is waited for.
    func run() async {
        var lease: Int64?
        var collected: UInt64 = 0
        while !Task.isCancelled {
            do {
                if await isFollowing() {
                    let position = try await log.store.head().size
                    lease = try await renew(lease, position: position)
                    collected = max(collected, try await collect(after: collected))
                }
            } catch let error as StoreError {
                log.logger.error("nothing is collected from etcd", metadata: ["reason": "\(error)"])
            } catch {
                lease = nil
                log.logger.debug("the member's row was not renewed", metadata: ["reason": "\(error)"])
            }
            try? await Task.sleep(for: Self.pause)
        }
    }

    private func renew(_ known: Int64?, position: UInt64) async throws -> Int64 {
        var lease = known
        if let known, try await !log.etcd.keepAlive(lease: known) { lease = nil }
        let valid: Int64
        if let lease { valid = lease } else { valid = try await log.etcd.grantLease(seconds: absence) }
        let row = ClusterRecord.member(position: position, url: url).bytes(of: log.ledger)
        _ = try await log.etcd.transact(then: [
            .put(log.keys.member(log.membership.member), row, lease: valid)
        ])
        return valid
    }

    /// - Returns: the entry before which nothing is kept in etcd any more, as far as this call knows.
    private func collect(after collected: UInt64) async throws -> UInt64 {
        let rows = try await log.etcd.transact(then: [
            .list(first: log.keys.members, end: log.keys.membersEnd, limit: Self.mostMembers)
        ]).rows[0]
        guard rows.count > 1, rows[0].key == log.keys.member(log.membership.member) else { return collected }
        var floor = UInt64.max
        for row in rows {
            guard case .member(let position, _) = try log.record(row) else { throw log.misplaced(row) }
            floor = min(floor, position)
        }
        guard floor > collected else { return collected }
        let done = try await log.etcd.transact(then: [
            .delete(first: log.keys.batch(0), end: log.keys.batch(floor))
        ])
        do throws(ClusterError) {
            try await log.etcd.compact(revision: done.revision)
        } catch {
            // Somebody compacted further already.
            guard case .refused = error else { throw error }
        }
        return floor
    }
}
