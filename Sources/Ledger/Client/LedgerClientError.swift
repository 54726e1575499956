/// Why a request to a source of the ledger did not give what was asked for.
///
/// The message names the source, the object and the rule, and never a secret. `code` is stable and meant for metrics.
public struct LedgerClientError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: String, Sendable, CaseIterable {
        /// The configured address is not an http or https URL.
        case url = "client.url"
        /// Name look-up or connection failed.
        case unreachable = "client.unreachable"
        /// The total deadline passed, or the source was too slow.
        case timeout = "client.timeout"
        /// TLS failed: certificate, name or handshake.
        case tls = "client.tls"
        /// More bytes than the resource may have.
        case tooLarge = "client.too_large"
        /// A redirect; none is followed.
        case redirect = "client.redirect"
        /// The source does not have the resource (404, 410).
        case notFound = "client.not_found"
        /// The source is overloaded or out of service (429, 503).
        case unavailable = "client.unavailable"
        /// Any other unexpected status.
        case status = "client.status"
        /// Bytes that are not the answer the protocol describes.
        case malformed = "client.malformed"
        /// The calling task was cancelled.
        case cancelled = "client.cancelled"
        /// The client was shut down.
        case closed = "client.closed"
    }

    public enum Retry: Sendable, Hashable {
        /// The same request can never succeed.
        case never
        /// Another source may answer; this one may later, after at least the given time if the source named one.
        case later(Duration?)
    }

    public var code: Code
    /// Base URL of the source.
    public var source: String
    public var retry: Retry
    /// One sentence: what failed, and where.
    public var message: String

    public init(_ code: Code, source: String, retry: Retry = .later(nil), message: String) {
        self.code = code
        self.source = source
        self.retry = retry
        self.message = message
    }

    public var description: String { "\(message) [\(code.rawValue)]" }

    /// Whether another source, or the same one later, may answer.
    public var mayRetry: Bool { retry != .never }
}
