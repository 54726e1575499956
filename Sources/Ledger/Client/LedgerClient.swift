internal import Foundation
public import Logging
internal import NIOConcurrencyHelpers

/// Speaks the ledger's HTTP interface (protocol.md 9) to one or more sources, over libcurl on a thread of its own.
///
/// The first URL is the ledger, the others are mirrors; all serve the same static files and none is believed: what
/// comes back is bytes within their limits, to be verified by the caller. Requests without a source go to the sources
/// in turn, beginning with the last one that answered. Any thread or task; `shutdown` ends the thread.
public final class LedgerClient: Sendable {
    /// What a source is to this node.
    public enum Role: Sendable, Hashable {
        /// Takes entries and serves the log.
        case ledger
        /// Serves a copy of the log.
        case mirror
        /// Another node: serves the checkpoint it stands by, takes evidence.
        case peer
        /// Serves the checkpoint it cosigned last, takes evidence.
        case witness
        /// Takes evidence.
        case auditor

        /// Whether it has a checkpoint and no data.
        var isObserver: Bool { self == .peer || self == .witness }
    }

    /// One base URL.
    public struct Source: Sendable, Hashable, CustomStringConvertible {
        public let index: Int
        public let url: String
        public var role = Role.ledger
        public var description: String { url }
    }

    /// What GET /checkpoint answered.
    public enum CheckpointAnswer: Sendable, Hashable {
        /// The note, with the source's ETag if it gave one.
        case note([UInt8], etag: String?)
        /// The note with the given ETag is still the newest (304).
        case notModified
        /// Nothing newer appeared during the long poll (204).
        case nothingNewer
    }

    /// The ledger and its mirrors.
    public let sources: [Source]
    /// Peers, witnesses and auditors.
    public let others: [Source]
    public let limits: ClientLimits
    private let loop: CurlLoop
    private let logger: Logger
    /// Index of the source that answered last.
    private let preferred = NIOLockedValueBox(0)

    /// - Throws: `client.url` if a URL is no plain http or https base URL, or if there is none.
    public convenience init(
        urls: [String],
        limits: ClientLimits = ClientLimits(),
        logger: Logger = Logger(label: "webgw.ledger-client")
    ) throws(LedgerClientError) {
        let roles = urls.enumerated().map { (url: $1, role: $0 == 0 ? Role.ledger : .mirror) }
        try self.init(sources: roles, limits: limits, logger: logger)
    }

    /// - Parameter list: base URLs with their roles, the ledger first, then its mirrors, then all others.
    init(
        sources list: [(url: String, role: Role)],
        limits: ClientLimits,
        logger: Logger
    ) throws(LedgerClientError) {
        var all: [Source] = []
        for (url, role) in list { all.append(Source(index: all.count, url: try Self.baseURL(url), role: role)) }
        let sources = all.filter { $0.role == .ledger || $0.role == .mirror }
        guard !sources.isEmpty else {
            throw LedgerClientError(.url, source: "", retry: .never, message: "no ledger URL is given")
        }
        guard let loop = CurlLoop() else {
            throw LedgerClientError(.closed, source: sources[0].url, retry: .never, message: "libcurl cannot start")
        }
        self.sources = sources
        others = all.filter { $0.role != .ledger && $0.role != .mirror }
        self.limits = limits
        self.loop = loop
        self.logger = logger
    }

    deinit {
        loop.shutdown()
    }

    /// Ends the client's thread; open requests fail as `client.closed`.
    public func shutdown() {
        loop.shutdown()
    }

    /// The URL without its trailing slashes, if it is an http or https URL without user, query and fragment.
    static func baseURL(_ text: String) throws(LedgerClientError) -> String {
        func refused(_ reason: String) -> LedgerClientError {
            LedgerClientError(.url, source: text, retry: .never, message: "ledger URL \"\(text)\" \(reason)")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw refused("has a space or a character that is not ASCII")
        }
        guard let parts = URLComponents(string: text), let host = parts.host, !host.isEmpty else {
            throw refused("is not a URL with a host, like https://ledger.example.org")
        }
        guard let scheme = parts.scheme?.lowercased(), scheme == "http" || scheme == "https" else {
            throw refused("is neither http nor https")
        }
        guard parts.user == nil, parts.password == nil else { throw refused("contains a user name or password") }
        guard parts.query == nil, parts.fragment == nil else { throw refused("has a query or a fragment") }
        var base = text[...]
        while base.hasSuffix("/") { base.removeLast() }
        return String(base)
    }

    // MARK: Static resources of one source

    /// GET /checkpoint.
    ///
    /// - Parameters:
    ///   - after: with `wait`, a long poll: answers as soon as the tree is larger than this.
    ///   - wait: seconds, 1 ... 50.
    ///   - etag: of the note the caller has; not used in a long poll.
    public func checkpoint(
        from source: Source,
        after: UInt64? = nil,
        wait: Int? = nil,
        etag: String? = nil
    ) async throws(LedgerClientError) -> CheckpointAnswer {
        var path = "/checkpoint"
        var request = request(source, "", limits.checkpointBytes)
        if let after, let wait {
            path += "?after=\(after)&wait=\(min(max(wait, 1), 50))"
            // While the source holds the answer back nothing moves, and that is no sign of a bad source.
            request.deadline += .seconds(wait)
            request.slowTime += .seconds(wait)
        } else if let etag {
            request.headers.append(("If-None-Match", etag))
        }
        request.path = path
        let response = try await loop.perform(request)
        switch response.status {
        case 200: return .note(response.body, etag: response.headers["etag"])
        case 304 where etag != nil: return .notModified
        case 204 where wait != nil: return .nothingNewer
        default: throw unexpected(response, request)
        }
    }

    /// GET of any static resource, bounded in size; `isBypassingCaches` asks every cache on the way for a fresh one.
    func resource(
        _ path: String,
        from source: Source,
        limit: Int,
        deadline: Duration? = nil,
        acceptsGzip: Bool = false,
        isBypassingCaches: Bool = false
    ) async throws(LedgerClientError) -> [UInt8] {
        var request = request(source, path, limit)
        if let deadline { request.deadline = deadline }
        request.acceptsGzip = acceptsGzip
        if isBypassingCaches {
            request.headers.append(("Cache-Control", "no-cache"))
            request.headers.append(("Pragma", "no-cache"))
        }
        let response = try await loop.perform(request)
        guard response.status == 200 else { throw unexpected(response, request) }
        return response.body
    }

    // MARK: In turn

    /// The newest checkpoint of the first source that answers; nil if a long poll ended without a newer one.
    public func checkpoint(after: UInt64? = nil, wait: Int? = nil) async throws(LedgerClientError) -> [UInt8]? {
        try await inTurn { source async throws(LedgerClientError) -> [UInt8]? in
            switch try await self.checkpoint(from: source, after: after, wait: wait) {
            case .note(let bytes, _): return bytes
            case .notModified, .nothingNewer: return nil
            }
        }
    }

    /// Runs `body` against one source after the other, beginning with the last good one, until one answers.
    ///
    /// - Throws: the first error that no other source can mend, else the error of the last source tried.
    func inTurn<Answer: Sendable>(
        _ body: (Source) async throws(LedgerClientError) -> Answer
    ) async throws(LedgerClientError) -> Answer {
        let first = preferred.withLockedValue { $0 }
        var failure: LedgerClientError?
        for step in 0..<sources.count {
            let source = sources[(first + step) % sources.count]
            do throws(LedgerClientError) {
                let answer = try await body(source)
                preferred.withLockedValue { $0 = source.index }
                return answer
            } catch {
                logger.debug("source failed", metadata: ["source": "\(source)", "code": "\(error.code.rawValue)"])
                guard error.mayRetry else { throw error }
                // An outage says more than "not found" from a mirror that lacks the resource.
                if failure == nil || error.code != .notFound { failure = error }
            }
        }
        throw failure!
    }

    func send(_ request: HTTPRequest) async throws(LedgerClientError) -> HTTPResponse {
        try await loop.perform(request)
    }

    func request(_ source: Source, _ path: String, _ bodyLimit: Int) -> HTTPRequest {
        HTTPRequest(
            source: source.url,
            path: path,
            bodyLimit: bodyLimit,
            headerLimit: limits.headerBytes,
            connect: limits.connect,
            deadline: limits.deadline,
            slowBytesPerSecond: limits.slowBytesPerSecond,
            slowTime: limits.slowTime,
            userAgent: limits.userAgent
        )
    }

    /// The error for a status that is not the one asked for.
    func unexpected(_ response: HTTPResponse, _ request: HTTPRequest) -> LedgerClientError {
        let what = "\(request.method.rawValue) \(request.url) answered \(response.status)"
        let later = response.headers["retry-after"].flatMap { Int64($0) }.map { Duration.seconds(min(max($0, 0), 60)) }
        let code: LedgerClientError.Code =
            switch response.status {
            case 300...308: .redirect
            case 404, 410: .notFound
            case 429, 503: .unavailable
            default: .status
            }
        let hint = code == .redirect ? "; redirects are not followed, give the final URL" : ""
        return LedgerClientError(code, source: request.source, retry: .later(later), message: what + hint)
    }
}
