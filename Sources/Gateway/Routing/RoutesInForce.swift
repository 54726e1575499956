internal import Contracts

/// A table in force, as it is asked for every visitor.
///
/// An object whose fields stay as they are, so that a question reads where they lie. A table in a variable would be copied for each,
/// since the variable could change meanwhile, and a copy counts a reference to every one of its parts, in memory that all loops
/// write to. For the same reason every loop has an object of its own.
final class RoutesInForce: Sendable {
    let index: RoutingIndex
    let http: HostIndex<PathIndex<ServedRoute>>
    let tls: HostIndex<ServedRoute>
    let quorumTime: Timestamp?
    let clockLag: Int64

    init(_ index: RoutingIndex) {
        self.index = index
        http = index.http
        tls = index.tls
        quorumTime = index.context.freshness.quorumTime
        clockLag = index.context.freshness.clockLag
    }

    /// Whether the host in `range` is in the table.
    func has(host bytes: Span<UInt8>, _ range: Range<Int>) -> Bool { http.contains(bytes, range) }
}
