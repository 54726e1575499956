internal import Contracts

/// An error answer: RFC 9457 with the ledger's members and its closed list of codes (protocol.md 9).
struct ProblemDetails: Sendable, Hashable {
    var status: Int
    var code: String
    var title: String
    var id: Identifier?
    var expectedSequence: Int64?
    /// Seconds, for a Retry-After field.
    var retryAfter: Int?
    /// For an Allow field.
    var allow: String?

    static let mediaType = "application/problem+json"

    /// The body, canonical JSON.
    var body: [UInt8] {
        var members: JSONObject = [
            "type": .string("urn:webgw:problem:\(code)"), "title": .string(title), "status": .integer(Int64(status)),
            "code": .string(code),
        ]
        if let id { members["txid"] = .string(id.hex) }
        if let expectedSequence { members["expected_seq"] = .integer(expectedSequence) }
        return JSONValue.object(members).canonical
    }

    init(_ status: Int, _ code: String, _ title: String, retryAfter: Int? = nil, allow: String? = nil) {
        self.status = status
        self.code = code
        self.title = title
        self.retryAfter = retryAfter
        self.allow = allow
    }

    /// The answer to an entry that the fold refuses.
    init(_ rejection: Rejection) {
        self.init(Self.status(of: rejection.code), rejection.code.rawValue, rejection.message)
        id = rejection.id
        expectedSequence = rejection.expectedSequence
    }

    static func notFound(_ title: String) -> ProblemDetails { ProblemDetails(404, "not.found", title) }

    static func unavailable(_ title: String, retryAfter: Int) -> ProblemDetails {
        ProblemDetails(503, "unavailable", title, retryAfter: retryAfter)
    }

    /// The status of a fold code.
    static func status(of code: Code) -> Int {
        switch code {
        case .entrySize: 413
        case .envelopeNoncanonical, .envelopeType, .payloadNoncanonical, .payloadSchema, .txUnsupported: 400
        case .accountUnknown, .signerUnknown, .signerForbidden, .signatureMissing, .signatureUnexpected,
            .signatureInvalid:
            403
        case .farmForbidden, .nodeForbidden, .nameForbidden, .contractForbidden, .billingForbidden, .auditorForbidden:
            403
        case .seqReplay, .seqGap, .versionMismatch, .nameTaken, .farmNameTaken, .portTaken, .nameInUse,
            .reportUnchanged, .genesisDuplicate, .evidenceDuplicate:
            409
        default: 422
        }
    }
}
