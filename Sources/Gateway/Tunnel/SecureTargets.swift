public import Contracts

/// A workload cannot be reached over TLS, or can be again.
public struct WorkloadNews: Hashable, Sendable {
    public var contract: Identifier
    public var exposure: String
    /// What is wrong; nil when nothing is.
    public var reason: String?
}

/// An exposure of a contract.
public struct ExposureName: Hashable, Sendable {
    public var contract: Identifier
    public var exposure: String

    public init(contract: Identifier, exposure: String) {
        self.contract = contract
        self.exposure = exposure
    }
}

/// What an agent needs for the workloads that it reaches over TLS. Loop-owned.
final class SecureTargets {
    private let loop: Loop
    private let onNews: (WorkloadNews) -> Void
    /// Made at the first use: to read the system's roots takes milliseconds.
    private var contexts: [WorkloadTrust: TLSContext] = [:]
    /// What was last said about each exposure that does not work.
    private var troubles: [ExposureName: String] = [:]
    /// Exposures whose streams begin with a PROXY header, as the verified ledger has them.
    var proxied: Set<ExposureName> = []

    init(loop: Loop, onNews: @escaping (WorkloadNews) -> Void) {
        self.loop = loop
        self.onNews = onNews
    }

    /// TLS for one connection to a target; nil for a target without it.
    func engine(for target: ForwardTarget) throws(TLSError) -> TLSEngine? {
        guard let trust = target.trust else { return nil }
        let context: TLSContext
        if let known = contexts[trust] {
            context = known
        } else {
            context = try TLSContext(workload: trust)
            contexts[trust] = context
        }
        return try TLSEngine(workload: context, name: target.serverName, loop: loop)
    }

    /// Takes what became of a connection; the same trouble is told once.
    func note(_ place: ExposureName, _ trouble: String?) {
        guard troubles[place] != trouble else { return }
        troubles[place] = trouble
        onNews(WorkloadNews(contract: place.contract, exposure: place.exposure, reason: trouble))
    }
}
