internal import Contracts
internal import HTTPTypes
internal import Hummingbird
internal import Logging
internal import NIOCore

/// The HTTP interface of a ledger (protocol.md 9).
///
/// Runs in hummingbird's tasks, beside the event loop; everything that reads the database goes through GRDB's queues.
struct LedgerAPI: HTTPResponder {
    typealias Context = HTTPService.Context

    let store: LedgerStore
    let sequencer: Sequencer
    let board: CheckpointBoard
    let limits: ServiceLimits
    let limiter: RateLimiter
    let snapshots: SnapshotKeeper
    let readModel = ReadModel()
    private let compressed: CompressedBundles
    let logger: Logger

    init(
        store: LedgerStore,
        sequencer: Sequencer,
        board: CheckpointBoard,
        snapshots: SnapshotKeeper,
        limits: ServiceLimits,
        limiter: RateLimiter,
        logger: Logger
    ) {
        self.store = store
        self.sequencer = sequencer
        self.board = board
        self.snapshots = snapshots
        self.limits = limits
        self.limiter = limiter
        self.logger = logger
        compressed = CompressedBundles(capacity: limits.compressedBytes)
    }

    func respond(to request: Request, context: Context) async -> Response {
        var answer: Answer
        do {
            answer = try await self.answer(request, context)
        } catch let problem as Problem {
            answer = Answer(problem.document)
        } catch {
            logger.error("a request failed", metadata: ["path": "\(request.uri.path)", "reason": "\(error)"])
            answer = Answer(.unavailable("the ledger cannot read now", retryAfter: 2))
        }
        // What is left of a body that was refused is not waited for.
        if request.method != .get, request.method != .head, answer.status != .ok, answer.status != .created {
            if answer.status != .accepted { answer.headers[.connection] = "close" }
        }
        return answer.response(isHead: request.method == .head)
    }

    private func answer(_ request: Request, _ context: Context) async throws -> Answer {
        guard let resource = LedgerResource(path: request.uri.path) else {
            throw Problem(.notFound("nothing is served at this path"))
        }
        guard resource.allows(request.method.rawValue) else {
            throw Problem(
                ProblemDetails(
                    405,
                    "method.not_allowed",
                    "this resource knows \(resource.methods)",
                    allow: resource.methods
                )
            )
        }
        guard Negotiation.accepts(request.headers[values: .accept], resource.mediaType) else {
            throw Problem(ProblemDetails(406, "not.acceptable", "this resource comes as \(resource.mediaType)"))
        }
        switch resource {
        case .checkpoint: return try await checkpoint(request)
        case .list(let kind): return try await list(kind, request)
        case .tile(let path): return try await tile(path, request)
        case .receipt(let index): return try await receipt(index)
        case .transaction(let id): return try await transaction(id)
        case .description: return try description()
        case .keyChange(let number): return try await keyChange(number)
        // `SubmissionHandler` answers these before they come here.
        case .submissions: throw Problem(.notFound("entries are taken on the event loop"))
        case .snapshot(.notes(let size)): return try await attest(size, request, context)
        case .snapshot(let resource): return try await snapshot(resource)
        }
    }

    // MARK: The log

    private func published() throws -> PublishedCheckpoint {
        guard let newest = board.newest else {
            throw Problem(.unavailable("no checkpoint is published yet", retryAfter: 1))
        }
        return newest
    }

    private func checkpoint(_ request: Request) async throws -> Answer {
        if let query = request.uri.query, !query.isEmpty { return try await longPoll(query) }
        let newest = try published()
        var headers: HTTPFields = [.eTag: "\"\(newest.tag)\"", .cacheControl: "max-age=1"]
        if Negotiation.isKnown(request.headers[values: .ifNoneMatch], tag: newest.tag) {
            return Answer(.notModified, headers: headers)
        }
        headers[.contentType] = LedgerResource.checkpoint.mediaType
        return Answer(.ok, headers: headers, body: newest.note)
    }

    private func longPoll(_ query: String) async throws -> Answer {
        guard let poll = LongPoll(query: query) else {
            throw Problem(.notFound("the query of a long poll is after=SIZE&wait=SECONDS, 1 to 50 seconds"))
        }
        guard board.waiting < limits.longPolls else {
            throw Problem(.unavailable("too many long polls are open", retryAfter: 5))
        }
        guard let newer = await board.checkpoint(after: poll.after, wait: .seconds(poll.wait)) else {
            return Answer(.noContent, headers: [.cacheControl: "no-store"])
        }
        return Answer(
            .ok,
            headers: [
                .contentType: LedgerResource.checkpoint.mediaType, .cacheControl: "no-store", .eTag: "\"\(newer.tag)\"",
            ],
            body: newer.note
        )
    }

    private func tile(_ path: TilePath, _ request: Request) async throws -> Answer {
        // Nothing behind the published checkpoint is shown, although it may be committed already.
        let size = try published().size
        var items = size
        if case .hashes(let level) = path.content { items = size >> UInt64(8 * level) }
        let (first, overflows) = path.index.multipliedReportingOverflow(by: UInt64(TilePath.fullWidth))
        guard !overflows, first < items, UInt64(path.width) <= items - first else {
            throw Problem(.notFound("the published log of \(size) entries has no such tile"))
        }
        var headers: HTTPFields = [
            .contentType: "application/octet-stream", .cacheControl: "public, max-age=31536000, immutable",
        ]
        guard case .hashes(let level) = path.content else {
            headers[.vary] = "Accept-Encoding"
            guard Negotiation.acceptsGzip(request.headers[values: .acceptEncoding]) else {
                return Answer(.ok, headers: headers, body: try await bundle(path))
            }
            if let body = compressed.kept(path) { return .gzip(headers, body) }
            let plain = try await bundle(path)
            if let body = await compressed.compress(plain, of: path) { return .gzip(headers, body) }
            return Answer(.ok, headers: headers, body: plain)
        }
        let body = try await store.tile(level: level, index: path.index, width: path.width)
        return Answer(.ok, headers: headers, body: body)
    }

    private func bundle(_ path: TilePath) async throws -> [UInt8] {
        EntryBundle.encode(try await store.leaves(bundle: path.index, width: path.width))
    }

    private func receipt(_ index: UInt64) async throws -> Answer {
        let size = try published().size
        guard index < size else { throw Problem(.notFound("the published log has \(size) entries")) }
        let receipts = try await store.receipts(of: [index])
        return Answer(
            .ok,
            headers: [.contentType: LedgerResource.receipt(0).mediaType, .cacheControl: "max-age=60"],
            body: receipts[0]
        )
    }

    private func description() throws -> Answer {
        let state = sequencer.state
        guard let meta = state.meta, let ledger = state.ledgerID else {
            throw Problem(.unavailable("the log is empty", retryAfter: 5))
        }
        let limits = meta.limits
        let numbers: JSONObject = [
            "contracts": .integer(limits.contracts), "grace": .integer(limits.grace), "names": .integer(limits.names),
            "purge": .integer(limits.purge), "term": .integer(limits.term), "tick_min": .integer(limits.tickMinimum),
        ]
        let members: JSONObject = [
            "ledger": .string(ledger.hex), "origin": .string(meta.origin), "prefix": .string("/"),
            "limits": .object(numbers),
        ]
        return Answer(
            .ok,
            headers: [.contentType: "application/json", .cacheControl: "max-age=300"],
            body: JSONValue.object(members).canonical
        )
    }

    /// The genesis is shown before anything is published: witnesses take the ledger's first keys from it, and it proves
    /// itself by its id, which they have pinned.
    private func keyChange(_ number: UInt64) async throws -> Answer {
        let size = board.newest?.size ?? 0
        guard let change = try await store.keyChange(number), number == 0 || change.index < size else {
            throw Problem(.notFound("the published log has no entry \(number) of the key chain"))
        }
        return Answer(
            .ok,
            headers: [
                .contentType: LedgerResource.keyChange(0).mediaType,
                .cacheControl: "public, max-age=31536000, immutable",
            ],
            body: change.leaf
        )
    }

    // MARK: Entries

    func body(of request: Request) async throws -> [UInt8] {
        try await HTTPService.body(of: request, limit: limits.submissionBytes, within: limits.bodyTime)
    }

    private func transaction(_ id: Identifier) async throws -> Answer {
        let state: String
        var index: UInt64?
        var code: Code?
        if let logged = try await store.index(of: id) {
            state = logged < (board.newest?.size ?? 0) ? "included" : "pending"
            if state == "included" { (index, code) = (logged, .ok) }
        } else {
            switch await sequencer.hint(of: id) {
            case .pending: state = "pending"
            case .rejected(let reason): (state, code) = ("rejected", reason)
            case nil: throw Problem(.notFound("this server knows no entry with that id"))
            }
        }
        return Answer(
            .ok,
            headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: Self.transaction(id, state: state, index: index, code: code)
        )
    }

    static func transaction(_ id: Identifier, state: String, index: UInt64?, code: Code?) -> [UInt8] {
        var members: JSONObject = ["state": .string(state), "txid": .string(id.hex)]
        if let index { members["index"] = .integer(Int64(index)) }
        if let code { members["code"] = .string(code.rawValue) }
        return JSONValue.object(members).canonical
    }
}
