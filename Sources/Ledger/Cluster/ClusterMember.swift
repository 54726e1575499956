internal import Contracts
internal import Logging

/// A served member: its connection to etcd, its log, and its row.
struct ClusterMember: Sendable {
    let log: ClusterLog
    private let etcd: EtcdClient
    private let mirrors: [String]

    /// Nil for the directory of a ledger that is in no cluster.
    init?(directory: String, opened: LedgerDirectory.Opened, mirrors: [String], logger: Logger) throws {
        guard let file = try ClusterFile.read(in: directory), let ledger = opened.stored.state.ledgerID else {
            return nil
        }
        etcd = try file.client()
        self.mirrors = mirrors
        log = ClusterLog(
            file,
            store: opened.store,
            etcd: etcd,
            ledger: ledger,
            signer: opened.signer,
            logger: logger
        )
    }

    /// Runs the sequencer, and beside it keeps the member's row and collects what all members have.
    ///
    /// Until others have said what was signed, the log is followed and not added to.
    func run(_ sequencer: Sequencer, _ options: ClusterOptions, listen: HTTPService.Listen) async throws {
        let host = listen.host.utf8.contains(UInt8(ascii: ":")) ? "[\(listen.host)]" : listen.host
        let membership = ClusterMembership(
            log: log,
            url: options.url ?? (listen.port == 0 ? "" : "http://\(host):\(listen.port)"),
            absence: options.absence,
            isFollowing: { await sequencer.failure == nil }
        )
        let clearance = MemberClearance(log: log, mirrors: mirrors)
        await sequencer.restrain(.asking)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await membership.run() }
            group.addTask { await clearance.run(sequencer) }
            try await sequencer.run()
            group.cancelAll()
        }
    }

    func shutdown() {
        etcd.shutdown()
    }
}

/// What the operator says about a member when it is served.
public struct ClusterOptions: Sendable, Hashable {
    /// Base URL at which the other members reach this one's tiles; nil: the address that is listened on.
    public var url: String?
    /// Seconds of silence after which a member no longer holds back what is deleted from etcd. Long enough for a restart
    /// or a new machine; in a day a busy ledger writes less than etcd's standard quota of 2 GiB.
    public var absence: Int64 = 3600

    public init(url: String? = nil, absence: Int64 = 3600) {
        self.url = url
        self.absence = absence
    }
}
