/// How an agent knows a workload that it reaches over TLS. There is no way to know it by nothing.
public struct WorkloadTrust: Hashable, Sendable {
    public enum Anchor: Hashable, Sendable {
        /// The roots that the system trusts, with name and dates.
        case system
        /// The certificates of a PEM text and nothing else, with name and dates.
        case authorities(pem: [UInt8])
        /// SHA-256, 32 bytes, of the workload's certificate (DER) or of its public key (SubjectPublicKeyInfo, DER). Whoever has the key of such a
        /// certificate is the workload: issuer, name and dates say nothing.
        case pins(Set<[UInt8]>)
    }

    public var anchor: Anchor
    /// What the workload is asked for by SNI, and what its certificate has to name; nil for the host of the target.
    public var name: String?

    public init(_ anchor: Anchor = .system, name: String? = nil) {
        self.anchor = anchor
        self.name = name
    }
}
