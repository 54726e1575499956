internal import Contracts
internal import HTTPTypes
internal import Hummingbird
internal import Logging

/// The HTTP interface of a witness: C2SP tlog-witness v1.0.0 and `/evidence` (protocol.md 9, 10.4).
struct WitnessAPI: HTTPResponder {
    typealias Context = HTTPService.Context

    let witness: Witness
    let ledger: WitnessedLedger
    let limits: ServiceLimits
    let limiter: RateLimiter
    let logger: Logger

    init(witness: Witness, ledger: WitnessedLedger, limits: ServiceLimits, logger: Logger) {
        self.witness = witness
        self.ledger = ledger
        self.limits = limits
        self.logger = logger
        limiter = RateLimiter(
            perSecond: limits.witnessRequestsPerSecond,
            burst: limits.witnessRequestBurst,
            capacity: limits.rememberedAddresses
        )
    }

    func respond(to request: Request, context: Context) async throws -> Response {
        var answer: Answer
        do {
            answer = try await self.answer(request, context)
        } catch let problem as Problem {
            answer = Answer(problem.document)
        } catch {
            logger.error("a request failed", metadata: ["path": "\(request.uri.path)", "reason": "\(error)"])
            answer = Answer(.unavailable("the witness cannot write now", retryAfter: 2))
        }
        // What is left of a body that was refused unread is not waited for.
        if request.method == .post, answer.status == .contentTooLarge || answer.status == .tooManyRequests {
            answer.headers[.connection] = "close"
        }
        return answer.response(isHead: request.method == .head)
    }

    private func answer(_ request: Request, _ context: Context) async throws -> Answer {
        switch (request.uri.path, request.method) {
        case ("/add-checkpoint", .post):
            try limit(context)
            return try await addCheckpoint(request)
        case ("/evidence", .post):
            try limit(context)
            return try await addEvidence(request)
        case ("/add-checkpoint", _), ("/evidence", _):
            throw Problem(
                ProblemDetails(405, "method.not_allowed", "this resource knows POST", allow: "POST")
            )
        case (let path, .get), (let path, .head):
            return try await checkpoint(path)
        default:
            throw Problem(
                ProblemDetails(405, "method.not_allowed", "this resource knows GET, HEAD", allow: "GET, HEAD")
            )
        }
    }

    private func limit(_ context: Context) throws {
        if let wait = limiter.take(RateLimiter.key(context.address), now: .now) {
            throw Problem(ProblemDetails(429, "rate.limited", "this address asks too often", retryAfter: wait))
        }
    }

    private func known() async throws -> (log: WitnessedLog, chain: KeyChain) {
        guard let known = await ledger.current() else {
            throw Problem(.unavailable("this witness has not seen the ledger's genesis yet", retryAfter: 1))
        }
        return known
    }

    // MARK: tlog-witness

    private func addCheckpoint(_ request: Request) async throws -> Answer {
        let body = try await HTTPService.body(
            of: request,
            limit: AddCheckpointRequest.longest,
            within: limits.bodyTime
        )
        let known = try await known()
        let answer = try await witness.addCheckpoint(body, of: known.log)
        switch answer {
        case .cosigned(let line):
            return Answer(
                .ok,
                headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
                body: line
            )
        case .conflict(let size):
            return Answer(
                .conflict,
                headers: [.contentType: "text/x.tlog.size", .cacheControl: "no-store"],
                body: Array("\(size)\n".utf8)
            )
        case .malformed:
            throw refused(answer, "note.malformed", "the body is not an old size, a proof and a checkpoint")
        case .oldSizeTooLarge:
            throw refused(answer, "note.malformed", "the old size is larger than the checkpoint")
        case .untrusted:
            throw refused(answer, "checkpoint.signature", "no key of the ledger signed, or a signature is forged")
        case .unknownOrigin:
            throw refused(answer, "not.found", "this witness does not know the checkpoint's origin")
        case .proofInvalid:
            throw refused(answer, "checkpoint.fork", "the consistency proof does not lead to this checkpoint")
        }
    }

    private func refused(_ answer: WitnessAnswer, _ code: String, _ title: String) -> Problem {
        Problem(ProblemDetails(answer.status, code, title))
    }

    /// GET `/<hex H(origin)>/checkpoint`.
    private func checkpoint(_ path: String) async throws -> Answer {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].isEmpty, parts[2] == "checkpoint", let name = Digest(hex: String(parts[1]))
        else { throw Problem(.notFound("nothing is served at this path")) }
        let origin = try await known().log.origin
        guard name.hex == WitnessedLog.pathName(of: origin), let note = try await witness.checkpoint(of: origin) else {
            throw Problem(.notFound("this witness has cosigned no checkpoint of that log"))
        }
        return Answer(
            .ok,
            headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "max-age=1"],
            body: note
        )
    }

    // MARK: Evidence

    private func addEvidence(_ request: Request) async throws -> Answer {
        guard Negotiation.isJSON(request.headers[.contentType]) else {
            throw Problem(ProblemDetails(415, "media.unsupported", "evidence is submitted as application/json"))
        }
        let body = try await HTTPService.body(of: request, limit: ForkEvidence.longest, within: limits.bodyTime)
        let known = try await known()
        _ = try await ledger.receive(evidence: body)
        switch try await witness.add(evidence: body, origin: known.log.origin, keyChain: known.chain) {
        case .ok:
            logger.critical("somebody proved that the ledger has two histories; the evidence is kept")
            return Answer(
                .ok,
                headers: [.contentType: "application/json", .cacheControl: "no-store"],
                body: JSONValue.object(["digest": .string(Digest.sha256(body).hex)]).canonical
            )
        case nil:
            throw Problem(.unavailable("this witness keeps no more evidence", retryAfter: 3600))
        default:
            throw Problem(
                ProblemDetails(422, "evidence.invalid", "the file does not prove that the ledger has two histories")
            )
        }
    }
}
