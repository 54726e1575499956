/// State of a contract at one gateway.
public enum StatusState: String, Hashable, Sendable, CaseIterable {
    case pending
    case deployed
    case rejected
    case error
    case suspended
    /// Only in reports: it ends the row.
    case removed
}

/// Why a contract is in its state at a gateway.
public enum StatusCode: String, Hashable, Sendable, CaseIterable {
    /// The code of a fresh row; no gateway can report it.
    case pending = "Pending"
    case proofMissing = "DNSProofMissing"
    case certificatePending = "CertificatePending"
    case backendUnreachable = "BackendUnreachable"
    case accepted = "Accepted"
    case hostnameConflict = "HostnameConflict"
    case portUnavailable = "PortUnavailable"
    case notAllowedByOffer = "NotAllowedByOffer"
    case notAllowedByPolicy = "NotAllowedByPolicy"
    case unsupportedValue = "UnsupportedValue"
    case certificateFailed = "CertificateFailed"
    case internalError = "InternalError"
    case suspendedForAbuse = "Suspended:abuse"
    case suspendedForLaw = "Suspended:legal"
    case suspendedForMaintenance = "Suspended:maintenance"
    case suspendedForQuota = "Suspended:quota"
    case removed = "Removed"

    /// Whether a gateway may report the pair (section 6.3).
    public func isReportable(in state: StatusState) -> Bool {
        switch self {
        case .pending: false
        case .proofMissing, .backendUnreachable: state == .pending || state == .error
        case .certificatePending: state == .pending
        case .accepted: state == .deployed
        case .hostnameConflict, .portUnavailable, .notAllowedByOffer, .notAllowedByPolicy, .unsupportedValue:
            state == .rejected
        case .certificateFailed, .internalError: state == .error
        case .suspendedForAbuse, .suspendedForLaw, .suspendedForMaintenance, .suspendedForQuota: state == .suspended
        case .removed: state == .removed
        }
    }

    /// Whether the code may name the contract that is in the way.
    public var allowsConflict: Bool { self == .hostnameConflict || self == .portUnavailable }
}
