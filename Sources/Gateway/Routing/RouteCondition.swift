public import Contracts
internal import HashTreeCollections

/// What a gateway has to say about a contract: the next contract.report, and a line of `status`.
public struct RouteCondition: Hashable, Sendable {
    public var contract: Identifier
    public var version: Int64
    public var state: StatusState
    public var code: StatusCode
    /// The contract that is in the way, with HostnameConflict.
    public var conflict: Identifier?
    /// At most 256 bytes of UTF-8.
    public var message: String

    init(
        _ contract: Identifier,
        _ version: Int64,
        _ state: StatusState,
        _ code: StatusCode,
        _ message: String,
        conflict: Identifier? = nil
    ) {
        self.contract = contract
        self.version = version
        self.state = state
        self.code = code
        self.conflict = conflict
        self.message = String(decoding: message.utf8.prefix(256), as: UTF8.self)
    }
}

extension RoutingIndex {
    /// The conditions of all contracts of the table, ascending by contract. A suspended contract has none: its row is the operator's.
    ///
    /// - Parameters:
    ///   - unavailable: leased ports that could not be bound, with the reason.
    ///   - unreachable: contracts that have had no agent for longer than a restart takes.
    ///   - standings: where overlay backends stand.
    func conditions(
        unavailable: [LeasedPort: String],
        unreachable: Set<Identifier>,
        standings: [OverlaySubject: OverlayStanding] = [:]
    ) -> [RouteCondition] {
        contracts.values.compactMap { condition(of: $0.verdict, unavailable, unreachable, standings) }
            .sorted { $0.contract < $1.contract }
    }

    private func condition(
        of verdict: ContractVerdict,
        _ unavailable: [LeasedPort: String],
        _ unreachable: Set<Identifier>,
        _ standings: [OverlaySubject: OverlayStanding]
    ) -> RouteCondition? {
        let (id, version) = (verdict.contract, verdict.version)
        guard verdict.mode != .suspended else { return nil }
        switch verdict.outcome {
        case .unsupported(let what):
            return RouteCondition(id, version, .rejected, .unsupportedValue, "not offered here: \(what)")
        case .conflict(let host, let winner):
            return RouteCondition(
                id,
                version,
                .rejected,
                .hostnameConflict,
                "\(host) belongs to an earlier contract",
                conflict: winner
            )
        case .served, .waitsForProof: break
        }
        for (port, reason) in unavailable.sorted(by: { $0.key < $1.key })
        where verdict.ports.contains(where: { $0.contains(port) }) {
            return RouteCondition(id, version, .rejected, .portUnavailable, "port \(port): \(reason)")
        }
        if verdict.outcome == .waitsForProof {
            return RouteCondition(
                id,
                version,
                .pending,
                .proofMissing,
                "hosts outside this gateway's domains need a proof by DNS"
            )
        }
        if let refused = overlayRefusal(of: verdict, standings) { return refused }
        if verdict.mode == .rejected {
            // What stood in the way is gone. The ledger must forget the rejection before the contract is served.
            return RouteCondition(id, version, .pending, .backendUnreachable, "no longer rejected; about to be served")
        }
        if unreachable.contains(id) {
            return RouteCondition(id, version, .error, .backendUnreachable, "no agent is connected to this gateway")
        }
        let notes = [
            verdict.unproven == 0 ? nil : "\(verdict.unproven) hosts need a proof by DNS and are not served",
            overlayNote(of: id, standings),
        ]
        let note = notes.compactMap(\.self).joined(separator: "; ")
        return RouteCondition(id, version, .deployed, .accepted, note)
    }
}
