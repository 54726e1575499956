internal import Contracts

extension RoutingIndex {
    /// Why an agent may not serve a contract here; nil when it may. In the grace period agents stay.
    func refusal(agent key: PublicKey, contract id: Identifier, at now: Timestamp) -> RefusalCode? {
        if let contract = contract(id) {
            guard contract.conn != .overlay else { return .modeMismatch }
            guard contract.keys.contains(key) else { return .keyNotBackend }
            switch self.refusal(of: contract, at: now) {
            case nil, .grace?: return nil
            case .suspended?, .suspendedByLaw?: return .contractSuspended
            case .ended?:
                let isBefore = now + context.freshness.clockLag < contract.window.lowerBound
                return isBefore ? .contractNotStarted : .contractExpired
            case .stale?: return .ledgerStale
            default: return .contractRejected
            }
        }
        if let verdict = verdict(of: id) {
            if case .unsupported(let what) = verdict.outcome, what.utf8.starts(with: "conn ".utf8) {
                return .modeMismatch
            }
            return .contractRejected
        }
        guard let row = context.state?.contract(id) else { return .contractUnknown }
        switch row.phase {
        case .deleted(.expired, _): return .contractExpired
        case .deleted: return .contractDeleted
        case .created(let spec), .grace(let spec, _):
            guard spec.gateways.contains(context.node) else { return .nodeNotNamed }
            if now < spec.notBefore { return .contractNotStarted }
            if now >= spec.notAfter { return .contractExpired }
            let isBackend = spec.backends.contains { $0.target == .key(key) }
            return isBackend ? .contractRejected : .keyNotBackend
        }
    }
}
