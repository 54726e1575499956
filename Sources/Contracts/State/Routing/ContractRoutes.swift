/// The routes of one contract at one node, and what a gateway needs of it besides.
public struct ContractRoutes: Hashable, Sendable {
    public let contract: Identifier
    /// At least one, in the order of the exposures.
    public let routes: [Route]
    /// When the contract is live, enforced by the gateway's own clock.
    public let window: Range<Timestamp>
    /// It is suspended, and its visitors are told that it is for legal reasons.
    public let isSuspendedByLaw: Bool

    /// - Parameter routes: all of `contract`, at least one.
    public init(
        contract: Identifier,
        routes: [Route],
        window: Range<Timestamp> = 0..<Timestamp.max,
        isSuspendedByLaw: Bool = false
    ) {
        precondition(!routes.isEmpty, "a contract without routes is not in a table")
        self.contract = contract
        self.routes = routes
        self.window = window
        self.isSuspendedByLaw = isSuspendedByLaw
    }
}
