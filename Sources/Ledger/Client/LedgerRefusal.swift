/// Why something a source of the ledger said was not believed, or not obtained.
///
/// `code` is stable: a result of protocol.md 10.3, a `client.…` code, `trust.…`, or `withholding`. The message is one
/// sentence that names the source, the object and the rule.
public struct LedgerRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// No answer within the limits: another source, or the same one later, may give one.
        case unreachable
        /// An answer that is not believed. The source is asked less often; nothing it said has an effect.
        case refused
        /// The node follows the ledger no further.
        case halted
        /// The local store or machine fails.
        case local
    }

    public var kind: Kind
    public var code: String
    /// Base URL of the source; empty if it is about none.
    public var source: String
    public var message: String
    /// What the source asked for before the next request.
    public var retryAfter: Duration?

    public init(_ kind: Kind, code: String, source: String, message: String, retryAfter: Duration? = nil) {
        self.kind = kind
        self.code = code
        self.source = source
        self.message = message
        self.retryAfter = retryAfter
    }

    init(_ result: VerificationResult, source: LedgerClient.Source, _ message: String) {
        self.init(.refused, code: result.rawValue, source: source.url, message: "\(source.url): \(message)")
    }

    init(_ error: LedgerClientError) {
        var retryAfter: Duration?
        if case .later(let time) = error.retry { retryAfter = time }
        self.init(
            .unreachable,
            code: error.code.rawValue,
            source: error.source,
            message: error.message,
            retryAfter: retryAfter
        )
    }

    init(_ halt: TrustedPosition.Halt) {
        self.init(.halted, code: halt.result.rawValue, source: "", message: halt.message)
    }

    /// An error of the store, or anything else that is no statement of a source.
    init(local error: any Error) {
        switch error {
        case let refusal as LedgerRefusal: self = refusal
        case let error as LedgerClientError: self.init(error)
        case let error as TrustStoreError:
            self.init(.local, code: error.code.rawValue, source: "", message: error.message)
        default:
            self.init(
                .local,
                code: TrustStoreError.Code.io.rawValue,
                source: "",
                message: "the trust store failed: \(error)"
            )
        }
    }

    public var description: String { "\(message) [\(code)]" }
}
