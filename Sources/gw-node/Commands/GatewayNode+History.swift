import Ledger

extension SnapshotHistory {
    /// Entries before the snapshot, how many were verified, and the word for it in `status`.
    var figures: (entries: UInt64, verified: UInt64, state: String) {
        switch self {
        case .attested(let size): (size, 0, "attested")
        case .verifying(let entries, let size): (size, entries, "verifying")
        case .verified(let size): (size, size, "verified")
        }
    }
}
