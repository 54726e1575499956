public import Contracts

/// What an auditor brings along; nothing of it comes from the log.
public struct AuditOptions: Sendable {
    /// The pinned ledger.
    public var ledgerID: Identifier

    /// The key that must have signed a pack's manifest; nil leaves the signature unchecked.
    public var manifestKey: VerifierKey?

    /// Judge the tampered envelopes and the attack files of a pack too.
    public var each: Bool

    /// Accept a ledger whose quorum is none.
    public var dev: Bool

    /// Local time, which stands for the quorum time of a ledger whose quorum is none.
    public var localNow: Timestamp

    public init(
        ledgerID: Identifier,
        manifestKey: VerifierKey? = nil,
        each: Bool = false,
        dev: Bool = false,
        localNow: Timestamp
    ) {
        self.ledgerID = ledgerID
        self.manifestKey = manifestKey
        self.each = each
        self.dev = dev
        self.localNow = localNow
    }
}
