/// Why a log or a pack is not what it claims to be.
public struct AuditFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// A verification result of the protocol, or `expect.<member>`, `outcomes`, `state`, `policy` or `pack` when the
    /// recorded results of a pack are not those of the replay.
    public let code: String

    /// One sentence: the object and the rule it breaks.
    public let message: String

    /// Index of the first entry concerned, when one is.
    public let index: UInt64?

    /// A failure that the protocol names.
    public init(_ result: VerificationResult, _ message: String, index: UInt64? = nil) {
        self.init(code: result.rawValue, message, index: index)
    }

    /// A failure of a pack's recorded results.
    public init(code: String, _ message: String, index: UInt64? = nil) {
        self.code = code
        self.message = message
        self.index = index
    }

    /// Code and message.
    public var description: String { "\(code): \(message)" }
}
