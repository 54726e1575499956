import Contracts

extension ContractFile {
    /// The terms of the contract, with names looked up and gaps filled from the verified state.
    ///
    /// - Parameters:
    ///   - owner: the twin whose names are used.
    ///   - version: 1 for a new contract, the next one for an update.
    ///   - start: begin of the live window where the file does not say it; an update keeps its old one.
    func spec(
        in state: ContractState,
        owner: Identifier,
        version: Int64,
        start: Timestamp? = nil
    ) throws(CommandFailure) -> ContractSpec {
        let nodes = try gatewayNodes(in: state)
        let begin = notBefore ?? start ?? state.now
        return ContractSpec(
            backends: backends,
            conn: connection,
            expose: exposes,
            gateways: nodes.map(\.id).sorted(),
            limits: contractLimits(offers: nodes.map(\.row.details.offer)),
            nameContracts: try nameContracts(in: state, owner: owner, nodes: nodes.map(\.row)),
            notBefore: begin,
            notAfter: try end(in: state, begin: notBefore ?? start),
            version: version,
            drain: drain,
            maxStale: maxStale
        )
    }

    private func gatewayNodes(in state: ContractState) throws(CommandFailure) -> [(id: Identifier, row: NodeRow)] {
        var nodes: [(id: Identifier, row: NodeRow)] = []
        for gateway in gateways {
            let id: Identifier
            do {
                id = try NodeReference(gateway.text).resolve(in: state)
            } catch {
                throw gateway.place.failure(error.message)
            }
            guard let row = state.node(id)?.live else {
                throw gateway.place.failure("names a gateway that is retired; choose another one")
            }
            if nodes.contains(where: { $0.id == id }) {
                throw gateway.place.failure("names a gateway that the list holds already; keep one")
            }
            nodes.append((id, row))
        }
        return nodes
    }

    /// The limits of the file; those it does not name come from the offers of its gateways.
    func contractLimits(offers: [Offer]) -> ContractLimits {
        // Nobody needs ten thousand connections for a page; a larger wish is written down.
        let connections = limits.connections ?? min(1000, offers.map(\.conns).min() ?? 1000)
        let rate = limits.bitsPerSecond ?? offers.map(\.bps).min() ?? 1_000_000_000
        return ContractLimits(
            bps: rate,
            conns: connections,
            connRate: limits.connectionRate,
            bytesPeriod: limits.bytesPerPeriod,
            period: limits.period
        )
    }

    private func nameContracts(
        in state: ContractState,
        owner: Identifier,
        nodes: [NodeRow]
    ) throws(CommandFailure) -> [Identifier]? {
        var ids: Set<Identifier> = []
        for name in names {
            if let id = Identifier(hex: name.text) {
                ids.insert(id)
                continue
            }
            guard Grammar.isName(name.text) else {
                throw name.place.failure("must be a name of 3 to 50 lower-case letters, digits and inner hyphens")
            }
            guard let (id, row) = state.name(named: name.text) else {
                throw name.place.failure(
                    "is not reserved; reserve it first: gw-node name reserve \(name.text)"
                )
            }
            guard row.owner == owner else {
                throw name.place.failure("belongs to another twin (\(row.owner.hex)); choose another name")
            }
            ids.insert(id)
        }
        return ids.isEmpty ? nil : ids.sorted()
    }

    /// The end of the live window.
    ///
    /// - Parameter begin: what `valid` counts from; nil for the present, as a new contract begins at ledger time, which may
    ///   be a minute behind.
    func end(in state: ContractState, begin: Timestamp?) throws(CommandFailure) -> Timestamp {
        if let notAfter { return notAfter }
        let term = state.meta?.limits.term ?? 0
        if let valid, let validPlace {
            guard (begin ?? state.now) + valid <= state.now + term else {
                throw validPlace.failure(
                    "is longer than this ledger allows, which is \(Quantities.text(.seconds(term)))"
                )
            }
            return min((begin ?? Self.present(in: state)) + valid, state.now + term)
        }
        return min((begin ?? Self.present(in: state)) + 90 * 86_400, state.now + term)
    }

    /// Seconds that the own clock is believed to be ahead of ledger time; a ledger that is further behind is stale.
    private static let longestLead: Timestamp = 900

    private static func present(in state: ContractState) -> Timestamp {
        min(max(state.now, Posix.now()), state.now + longestLead)
    }
}

/// A gateway as people name it: a node id, `farm/node`, or the node's name where only one has it.
struct NodeReference {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    func resolve(in state: ContractState) throws(CommandFailure) -> Identifier {
        if let id = Identifier(hex: text) {
            guard state.node(id) != nil else {
                throw CommandFailure(
                    .refused,
                    code: "node.unknown",
                    "names no gateway of this ledger (\(text)); check the id"
                )
            }
            return id
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        var found = state.node(named: parts.last ?? "")
        if parts.count == 2 {
            guard let (farm, _) = state.farm(named: parts[0]) else {
                throw CommandFailure(
                    .refused,
                    code: "farm.unknown",
                    "names the farm \(parts[0]), which this ledger does not have"
                )
            }
            found = found.filter { state.node($0)?.live?.farm == farm }
        }
        guard parts.count <= 2, let id = found.first else {
            throw CommandFailure(
                .refused,
                code: "node.unknown",
                "names no gateway of this ledger (\(text)); give its id, or farm/node"
            )
        }
        guard found.count == 1 else {
            throw CommandFailure(
                .refused,
                code: "node.ambiguous",
                "names \(found.count) gateways (\(text)); give the id, or farm/node"
            )
        }
        return id
    }
}
