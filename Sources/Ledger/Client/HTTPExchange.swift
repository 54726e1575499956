/// One request as the curl thread carries it out.
struct HTTPRequest: Sendable {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
    }

    var method = Method.get
    /// Base URL of the source, for messages.
    var source: String
    /// Path and query, starting with a slash.
    var path: String
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// Largest body, in bytes, after content decoding; more ends the transfer.
    var bodyLimit: Int
    /// Largest sum of header lines, in bytes.
    var headerLimit: Int
    var connect: Duration
    /// From start to the last byte.
    var deadline: Duration
    /// Fewest bytes per second over `slowTime`.
    var slowBytesPerSecond: Int
    var slowTime: Duration
    var userAgent: String
    /// Whether the body may come gzipped.
    var acceptsGzip = false
    /// Files for TLS: the authorities to trust in place of the system's, and what the client shows of itself.
    var authority: String?
    var certificate: String?
    var certificateKey: String?

    var url: String { source + path }
}

/// A complete response, within the limits of its request.
struct HTTPResponse: Sendable {
    var status: Int
    /// Field names in lower case; of repeated fields the last one.
    var headers: [String: String]
    var body: [UInt8]
    var timing: HTTPTiming
}

/// Where the time of one request went, in microseconds since its start.
public struct HTTPTiming: Sendable, Hashable {
    public var nameLookup: Int64 = 0
    public var connected: Int64 = 0
    public var secured: Int64 = 0
    public var firstByte: Int64 = 0
    public var total: Int64 = 0
}
