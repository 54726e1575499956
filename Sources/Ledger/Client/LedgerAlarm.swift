/// Something that needs a person although the node goes on.
public struct LedgerAlarm: Sendable, Hashable, CustomStringConvertible {
    /// Stable names, for status, logs and metrics.
    public enum Code: String, Sendable, CaseIterable {
        /// No fresh quorum for more than 900 s (protocol.md 10.5).
        case ledgerStale = "LedgerStale"
        /// The data behind a valid checkpoint are not to be had (10.2 step 7).
        case withholding = "withholding"
        /// An auditor vouches for another state than the one computed here (10.2 step 10).
        case stateDivergence = "state.divergence"
        /// A quorum of witnesses shows a time more than 300 s off the local clock (10.5).
        case clockSkew = "clock.skew"

        /// Whether it outlives the process: nothing that comes later makes it untrue.
        var isKept: Bool { self == .stateDivergence }
    }

    public var code: Code
    /// One sentence: what is wrong and what to do.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(message) [\(code.rawValue)]" }

    static func stale(age: Int64) -> LedgerAlarm {
        LedgerAlarm(
            .ledgerStale,
            "no fresh quorum for \(age) s: serving goes on, no new name, host or port is bound; "
                + "check the ledger's URLs, its witnesses and this machine's clock"
        )
    }
}
