/// A log behind the HTTP interface of a ledger or of any server that has its files.
public struct ServedLog: LogSource {
    private let client: LedgerClient

    /// Reads through the client, which bounds every answer in size and in time.
    public init(_ client: LedgerClient) {
        self.client = client
    }

    public func checkpoint() async throws -> [UInt8]? {
        try await Self.existing { () async throws(LedgerClientError) in try await client.checkpoint() }
    }

    public func tile(_ path: TilePath, limit: Int) async throws -> [UInt8]? {
        try await Self.existing { () async throws(LedgerClientError) in
            switch path.content {
            case .hashes(let level): try await client.tile(level: level, index: path.index, width: path.width)
            case .entries: try await client.bundle(index: path.index, width: path.width)
            }
        }
    }

    /// What is not there, or not of the right size, is data that proves nothing; any other error is an outage.
    private static func existing(
        _ request: () async throws(LedgerClientError) -> [UInt8]?
    ) async throws(LedgerClientError) -> [UInt8]? {
        do throws(LedgerClientError) {
            return try await request()
        } catch {
            switch error.code {
            case .notFound, .malformed, .tooLarge: return nil
            default: throw error
            }
        }
    }
}
