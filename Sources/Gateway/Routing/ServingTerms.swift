internal import Contracts

/// What of a contract decides whether it serves at a time. Small; every route has a copy, so that a question reads no more than
/// the route.
struct ServingTerms: Sendable {
    /// The live window of the contract; everything when it is not known.
    let window: Range<Timestamp>
    /// Age of the verified state in seconds above which it is too old for this contract.
    let longestAge: Int64
    let mode: RouteMode
    /// A suspended contract is so for legal reasons.
    let isSuspendedByLaw: Bool

    init(_ source: ContractRoutes) {
        let route = source.routes[0]
        window = source.window
        longestAge = min(route.maxStale, Freshness.drainsEverythingAfter)
        mode = route.mode
        isSuspendedByLaw = source.isSuspendedByLaw
    }

    /// Why the contract serves nobody at a time, with a state of this age; nil when it serves.
    ///
    /// - Parameters:
    ///   - now: set right already by what the local clock is behind.
    ///   - age: nil where none is judged.
    @inline(__always)
    func refusal(at now: Timestamp, age: Int64?) -> VisitorRefusal? {
        if !window.contains(now) { return .ended }
        if let age, age > longestAge { return .stale }
        switch mode {
        case .serve: return nil
        case .grace: return .grace
        case .suspended: return isSuspendedByLaw ? .suspendedByLaw : .suspended
        case .rejected: return .unknown
        }
    }
}
