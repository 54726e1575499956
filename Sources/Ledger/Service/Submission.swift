public import Contracts

/// What became of a submitted entry.
public enum SubmissionResult: Sendable {
    /// In the log and in a published checkpoint. `isNew` is false if it was logged before.
    case included(index: UInt64, receipt: [UInt8], isNew: Bool)
    /// Not logged; the fold's code says why.
    case rejected(Rejection)
    /// Taken, and not in a published checkpoint yet.
    case pending(Identifier)
    /// No verdict: the server cannot log now. Submitting again later is safe.
    case unavailable(reason: String, retryAfterSeconds: Int)
}

/// Why an entry is not logged.
public struct Rejection: Sendable, Hashable {
    public var code: Code
    public var id: Identifier?
    /// One sentence for a person.
    public var message: String
    /// The sequence number that the signer's lane expects next; only with `seq.replay` and `seq.gap`.
    public var expectedSequence: Int64?

    init(_ code: Code, id: Identifier?, message: String? = nil, expectedSequence: Int64? = nil) {
        self.code = code
        self.id = id
        self.message = message ?? code.sentence
        self.expectedSequence = expectedSequence
    }
}

extension Code {
    /// The rule behind the code, in one sentence.
    var sentence: String {
        switch self {
        case .ok: "the entry is accepted"
        case .entrySize: "the entry is longer than \(ParsedEntry.sizeLimit) bytes"
        case .envelopeNoncanonical: "the body is not a DSSE envelope"
        case .envelopeType: "the payload type is not \(Envelope.entryType)"
        case .payloadNoncanonical: "the payload is not canonical JSON"
        case .payloadSchema: "the payload breaks the schema or a static rule of its type"
        case .txUnsupported: "the version or the type of the entry is not known"
        case .genesisRequired: "a log begins with its genesis"
        case .genesisDuplicate: "the log has its genesis"
        case .ledgerMismatch: "the entry is for another ledger"
        case .accountUnknown: "the account is no twin of this ledger"
        case .signerUnknown: "the signer is not a key of the account"
        case .signerForbidden: "the signer's key may not do this"
        case .signatureMissing: "a required signature is missing"
        case .signatureUnexpected: "a signature is there that nobody asked for"
        case .signatureInvalid: "a signature does not verify"
        case .seqReplay: "the sequence number was used before"
        case .seqGap: "the sequence number skips one"
        case .txExpired: "the entry has expired"
        case .txExpiresFar: "the entry expires more than 30 days from ledger time"
        case .versionMismatch: "the version is not the current one plus 1"
        case .quotaExceeded: "the account has as many as the ledger allows"
        default: "the rule \(rawValue) of this entry's type is not met"
        }
    }
}
