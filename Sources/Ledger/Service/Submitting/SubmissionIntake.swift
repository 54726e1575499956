internal import Contracts
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore

/// A submission whose body is on its way.
struct SubmissionRequest {
    /// False to be answered as soon as the entry is in the queue.
    var waits: Bool
    /// Whether the connection ends with the answer.
    var isLast: Bool
    private(set) var body = ByteBuffer()

    /// - Returns: false for more than `limit` bytes.
    mutating func append(_ bytes: inout ByteBuffer, limit: Int) -> Bool {
        guard body.readableBytes + bytes.readableBytes <= limit else { return false }
        if body.readableBytes == 0 { body = bytes } else { body.writeBuffer(&bytes) }
        return true
    }
}

/// Judges the heads of submissions. Any thread.
final class SubmissionIntake: Sendable {
    private static let prefer = HTTPField.Name("Prefer") ?? .accept

    let limits: ServiceLimits
    let desk: SubmissionDesk
    let date = HTTPDate()
    /// Shared with everything else that an address may hand in.
    let limiter: RateLimiter

    init(_ desk: SubmissionDesk, _ limits: ServiceLimits) {
        self.desk = desk
        self.limits = limits
        limiter = RateLimiter(
            perSecond: limits.submissionsPerSecond,
            burst: limits.submissionBurst,
            capacity: limits.rememberedAddresses
        )
    }

    static func isSubmission(_ head: HTTPTypes.HTTPRequest) -> Bool {
        guard head.method == .post, let target = head.path else { return false }
        return target == "/entries" || LedgerResource(path: URI(target).path) == .submissions
    }

    /// - Parameter address: what the client counts as, of `RateLimiter.key`.
    /// - Throws: the answer to a request whose body is not wanted.
    func request(_ head: HTTPTypes.HTTPRequest, from address: String) throws(Problem) -> SubmissionRequest {
        let fields = head.headerFields
        let type = LedgerResource.submissions.mediaType
        guard Negotiation.accepts(fields[values: .accept], type) else {
            throw Problem(ProblemDetails(406, "not.acceptable", "this resource comes as \(type)"))
        }
        if let wait = limiter.take(address, now: .now) {
            throw Problem(
                ProblemDetails(429, "rate.limited", "this address submits too many entries", retryAfter: wait)
            )
        }
        guard Negotiation.isJSON(fields[.contentType]) else {
            throw Problem(ProblemDetails(415, "media.unsupported", "an entry is submitted as application/json"))
        }
        if let length = fields[.contentLength].flatMap({ Int($0) }), length > limits.submissionBytes {
            throw Problem(tooLarge)
        }
        let isAsynchronous = fields[values: Self.prefer].contains { value in
            value.split(separator: ",").contains { $0.split(separator: ";")[0].isEqual("respond-async") }
        }
        return SubmissionRequest(
            waits: !isAsynchronous,
            isLast: fields[.connection]?.isEqual("close") ?? false
        )
    }

    var tooLarge: ProblemDetails {
        ProblemDetails(413, "body.too_large", "the body has at most \(limits.submissionBytes) bytes")
    }

    var tooSlow: ProblemDetails {
        ProblemDetails(408, "request.timeout", "the body did not arrive within \(limits.bodyTime)")
    }
}

extension Answer {
    /// The answer to a submission.
    init(_ result: SubmissionResult) {
        switch result {
        case .included(let index, let receipt, let isNew):
            self.init(
                isNew ? .created : .ok,
                headers: [
                    .contentType: LedgerResource.submissions.mediaType, .location: "/receipts/\(index).tlog-proof",
                ],
                body: receipt
            )
        case .rejected(let rejection):
            self.init(ProblemDetails(rejection))
        case .pending(let id):
            self.init(
                .accepted,
                headers: [.contentType: "application/json", .location: "/tx/\(id.hex)"],
                body: LedgerAPI.transaction(id, state: "pending", index: nil, code: nil)
            )
        case .unavailable(let reason, let seconds):
            self.init(.unavailable(reason, retryAfter: seconds))
        }
    }
}
