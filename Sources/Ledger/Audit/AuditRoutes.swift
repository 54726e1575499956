public import Contracts

/// The route table that a gateway was allowed to serve after some entries of a log.
public struct AuditRoutes: Sendable {
    /// Entries that the table follows from.
    public let height: UInt64

    /// The table; its node is the one that was asked for.
    public let table: RouteTable

    /// The document of `audit routes --json`.
    public var json: JSONValue {
        let table = try? JSONValue(document: table.canonical)
        return [
            "node": .string(self.table.node.hex),
            "height": .integer(Int64(height)),
            "routes": table?["routes"] ?? [],
            "digest": .string(self.table.digest.hex),
        ]
    }

    /// Why there is no table.
    public enum Refusal: Error, Sendable {
        /// The log is not what its checkpoint says.
        case failed(AuditFailure)
        /// The log has only so many entries.
        case beyondEnd(UInt64)
        /// A fold upgrade comes before that height, after so many entries.
        case unsupported(UInt64)
    }

    /// Verifies the whole log as `AuditReplay` does, and takes the table after `height` entries at `time`, or at the
    /// ledger's time.
    public static func run(
        _ source: any LogSource,
        node: Identifier,
        height: UInt64,
        at time: Timestamp?,
        options: AuditOptions,
        progress: (UInt64) -> Void = { _ in }
    ) async throws -> AuditRoutes {
        do {
            let leaves = try await LogAudit.leaves(from: source)
            guard height <= leaves.checkpoint.size else { throw Refusal.beyondEnd(leaves.checkpoint.size) }
            var replay = LogReplay()
            var table: RouteTable?
            try await LogAudit.fold(
                leaves,
                from: source,
                ledgerID: options.ledgerID,
                into: &replay,
                observe: { replay, _ in
                    guard replay.state.size == height else { return }
                    table = RouteTable(state: replay.state, node: node, at: time ?? replay.state.now)
                },
                progress: progress
            )
            _ = try replay.judge(leaves.checkpoint, dev: options.dev, localNow: options.localNow).get()
            guard let table else { throw Refusal.unsupported(replay.state.size) }
            return AuditRoutes(height: height, table: table)
        } catch let failure as AuditFailure {
            throw Refusal.failed(failure)
        } catch let error as LogUnreadable {
            throw Refusal.failed(error.failure)
        }
    }
}
