internal import Contracts

/// What the follower asks of the network. Everything that comes back is bytes within their limits, believed by nobody yet.
///
/// `LedgerClient` is the real one; a simulation gives another, so that thousands of histories run without sockets.
protocol LogTransport: Sendable {
    /// The ledger and its mirrors, in the order of their indices.
    var sources: [LedgerClient.Source] { get }
    var limits: ClientLimits { get }

    /// GET /checkpoint, plainly or as a long poll.
    func checkpoint(
        from source: LedgerClient.Source,
        after: UInt64?,
        wait: Int?,
        etag: String?
    ) async throws(LedgerClientError) -> LedgerClient.CheckpointAnswer

    /// GET of a static resource of at most `limit` bytes; no deadline means the usual one.
    func resource(
        _ path: String,
        from source: LedgerClient.Source,
        limit: Int,
        deadline: Duration?,
        acceptsGzip: Bool,
        isBypassingCaches: Bool
    ) async throws(LedgerClientError) -> [UInt8]
}

extension LedgerClient: LogTransport {}

extension LogTransport {
    /// Sources of entries and tiles: the given one first if it has any, then the others.
    func dataSources(after source: LedgerClient.Source) -> [LedgerClient.Source] {
        source.role.isObserver ? sources : [source] + sources.filter { $0 != source }
    }

    func resource(
        _ path: String,
        from source: LedgerClient.Source,
        limit: Int,
        isBypassingCaches: Bool = false
    ) async throws(LedgerClientError) -> [UInt8] {
        try await resource(
            path,
            from: source,
            limit: limit,
            deadline: nil,
            acceptsGzip: false,
            isBypassingCaches: isBypassingCaches
        )
    }
}
